package foreign

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// The limits of reading a process's list of mappings. A process may have filled it with
// 65,530 paths of 4,096 bytes.
const (
	maxMaps = 16 << 20 // bytes
	maxLine = 8 << 10
)

// deleted is what the kernel adds to the name of a file that was deleted.
const deleted = " (deleted)"

// FileID identifies a file in the same way as the kernel's lists of mappings, whatever
// path and namespace it is seen from.
type FileID struct {
	Dev uint64 `json:"dev"`
	Ino uint64 `json:"ino"`
}

// Mapping is a file that a process runs code of.
type Mapping struct {
	Path string // as the process sees it
	ID   FileID
}

// Mappings lists the files that a process runs code of and that keep selects, by their
// paths. It waits for the lock of the process's memory: call it in a Pool. After an error
// it also returns what was found before.
func Mappings(pid int, keep func(path string) bool) ([]Mapping, error) {
	f, err := os.Open(procPath(pid, "maps"))
	if err != nil {
		return nil, refuse(Gone, err)
	}
	defer func() { _ = f.Close() }()
	return mappings(f, keep)
}

func mappings(r io.Reader, keep func(path string) bool) ([]Mapping, error) {
	limited := &io.LimitedReader{R: r, N: maxMaps}
	lines := bufio.NewScanner(limited)
	lines.Buffer(nil, maxLine)
	var found []Mapping
	seen := map[string]bool{}
	for lines.Scan() {
		m, ok := parseMapping(lines.Bytes())
		if !ok || seen[m.Path] || !keep(m.Path) {
			continue
		}
		seen[m.Path] = true
		found = append(found, m)
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong) || limited.N <= 0:
		return found, refuse(Budget, err)
	case err != nil:
		return found, refuse(Gone, err)
	}
	return found, nil
}

// parseMapping reads a line such as
//
//	55d0c8a3b000-55d0c8a40000 r-xp 00002000 fe:01 1234   /usr/bin/true
//
// and reports whether it is about code of a file.
func parseMapping(line []byte) (Mapping, bool) {
	var fields [5][]byte
	rest := line
	for i := range fields {
		fields[i], rest, _ = bytes.Cut(bytes.TrimLeft(rest, " "), []byte(" "))
	}
	rest = bytes.TrimLeft(rest, " ")
	if len(rest) == 0 || rest[0] != '/' || len(fields[1]) != 4 || fields[1][2] != 'x' {
		return Mapping{}, false
	}
	id, err := parseID(fields[3], fields[4])
	if err != nil {
		return Mapping{}, false
	}
	return Mapping{Path: strings.TrimSuffix(string(rest), deleted), ID: id}, true
}

// parseID parses device and inode as they are in lists of mappings.
func parseID(device, inode []byte) (FileID, error) {
	var major, minor uint32
	if _, err := fmt.Sscanf(string(device), "%x:%x", &major, &minor); err != nil {
		return FileID{}, err
	}
	ino, err := strconv.ParseUint(string(inode), 10, 64)
	return FileID{unix.Mkdev(major, minor), ino}, err
}

// ownID returns the identity of an open file, as a list of mappings would show it. It is
// not always what stat reports: overlayfs and btrfs have their own numbers there.
func ownID(fd int) (FileID, error) {
	at, err := unix.Mmap(fd, 0, os.Getpagesize(), unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		return FileID{}, err
	}
	defer func() { _ = unix.Munmap(at) }()
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		return FileID{}, err
	}
	defer func() { _ = f.Close() }()
	begin := fmt.Sprintf("%x-", addressOf(at))
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if fields := strings.Fields(lines.Text()); len(fields) >= 5 && strings.HasPrefix(fields[0], begin) {
			return parseID([]byte(fields[3]), []byte(fields[4]))
		}
	}
	return FileID{}, errors.New("the process's own mapping is not listed")
}
