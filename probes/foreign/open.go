package foreign

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// File is a regular file of a process of another user. It is only a place (O_PATH):
// nothing can be read from it.
type File struct {
	fd *os.File
}

// Handle returns a path that leads to the file as long as the File is not closed,
// whatever happened to its name.
func (f *File) Handle() string { return fmt.Sprintf("/proc/self/fd/%d", f.fd.Fd()) }

// Dup returns a second File for the same file.
func (f *File) Dup() (*File, error) {
	fd, err := unix.FcntlInt(f.fd.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return &File{os.NewFile(uintptr(fd), f.fd.Name())}, nil
}

// Close releases the file.
func (f *File) Close() error { return f.fd.Close() }

// Open finds a file that a process maps. It does not open what is there, and asks no file
// system for anything: it does not acquire a terminal, start a pipe or a device, or wait
// for a hanging server.
func Open(pid int, exe string, m Mapping) (*File, error) {
	proc, err := unix.Open(procPath(pid, ""), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, refuse(Gone, err)
	}
	defer func() { _ = unix.Close(proc) }()
	fd, err := find(proc, exe, m.Path)
	if err != nil {
		return nil, err
	}
	f := &File{os.NewFile(uintptr(fd), m.Path)}
	if err := check(pid, proc, fd); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// resolveCached (RESOLVE_CACHED, Linux 5.12) finds only what is in the kernel's
// memory.
const resolveCached = 0x20

// find goes to the place. An executable can be reached even if it was replaced since. The
// path to any other file is in the kernel's memory, because it is mapped. Nothing beyond
// that is looked at (RESOLVE_CACHED), and no link is followed.
func find(proc int, exe, path string) (int, error) {
	if path == exe {
		fd, err := unix.Openat(proc, "exe", unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			return -1, refuse(Gone, err)
		}
		return fd, nil
	}
	root, err := unix.Openat(proc, "root", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, refuse(Gone, err)
	}
	defer func() { _ = unix.Close(root) }()
	how := &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_SYMLINKS | resolveCached,
	}
	for try := 0; ; try++ {
		fd, err := unix.Openat2(root, strings.TrimLeft(path, "/"), how)
		switch {
		case err == nil:
			return fd, nil
		// this also happens if a directory was renamed meanwhile
		case errors.Is(err, unix.EAGAIN) && try < 3:
			time.Sleep(time.Millisecond)
		case errors.Is(err, unix.EAGAIN):
			return -1, refuse(NotCached, err)
		case errors.Is(err, unix.ELOOP):
			return -1, refuse(NotRegular, err)
		case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR):
			return -1, refuse(Replaced, err)
		default:
			return -1, refuse(Unreachable, err)
		}
	}
}

// check requires a regular file on a file system that does not make its readers wait for
// another process or host.
func check(pid, proc, fd int) error {
	var st unix.Statx_t
	const flags = unix.AT_EMPTY_PATH | unix.AT_STATX_DONT_SYNC | unix.AT_NO_AUTOMOUNT
	if err := unix.Statx(fd, "", flags, unix.STATX_TYPE|unix.STATX_MNT_ID, &st); err != nil {
		return refuse(Unreachable, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return refuse(NotRegular, nil)
	}
	if st.Mask&unix.STATX_MNT_ID == 0 {
		return refuse(FileSystem, errors.New("the kernel does not report the mount of the file"))
	}
	kind, err := mountType(proc, st.Mnt_id)
	switch {
	case err != nil:
		return refuse(FileSystem, err)
	case !local[kind]:
		return refuse(FileSystem, errors.New(kind))
	case layered[kind] && !ownUsers(pid):
		return refuse(FileSystem, errors.New(kind+" of a user namespace"))
	}
	return nil
}

// local lists the file systems whose files come only from this host's memory and disks.
// FUSE, network file systems and unknown ones are not among them.
var local = map[string]bool{
	"bcachefs": true, "btrfs": true, "erofs": true, "ext2": true, "ext3": true, "ext4": true, "f2fs": true,
	"iso9660": true, "jfs": true, "nilfs2": true, "overlay": true, "ramfs": true, "reiserfs": true, "rootfs": true,
	"squashfs": true, "tmpfs": true, "devtmpfs": true, "ubifs": true, "udf": true, "vfat": true, "xfs": true, "zfs": true,
}

// layered lists those on top of other file systems, which users may choose if they may
// mount.
var layered = map[string]bool{"overlay": true}

// mountType returns the type of the file system of a mount. It looks in the process's own
// list. For a process that has locked itself into a part of the tree it also looks in the
// list of this process.
func mountType(proc int, id uint64) (string, error) {
	theirs, err := unix.Openat(proc, "mountinfo", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	kind, err := typeIn(os.NewFile(uintptr(theirs), "mountinfo"), id)
	if kind != "" || err != nil {
		return kind, err
	}
	ours, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	if kind, err = typeIn(ours, id); kind == "" && err == nil {
		err = errors.New("the mount is not listed")
	}
	return kind, err
}

// maxMounts is how many bytes of a list of mounts are read. The kernel allows 100,000
// mounts in a namespace, with 100 to 200 bytes each.
const maxMounts = 16 << 20

func typeIn(f *os.File, id uint64) (string, error) {
	defer func() { _ = f.Close() }()
	want := strconv.FormatUint(id, 10)
	lines := bufio.NewScanner(io.LimitReader(f, maxMounts))
	lines.Buffer(nil, 1<<20) // a list of lower layers is one line
	for lines.Scan() {
		if kind, ok := parseMount(lines.Text(), want); ok {
			return kind, nil
		}
	}
	return "", lines.Err()
}

// parseMount reads a line such as
//
//	36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
func parseMount(line, id string) (kind string, ok bool) {
	rest, ok := strings.CutPrefix(line, id+" ")
	if !ok {
		return "", false
	}
	_, rest, ok = strings.Cut(rest, " - ")
	if !ok {
		return "", false
	}
	kind, _, _ = strings.Cut(rest, " ")
	return kind, true
}
