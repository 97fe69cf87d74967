package foreign

import (
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// maxNesting is how deep user namespaces can be nested (Linux: 32).
const maxNesting = 33

// ownNamespace returns the link of this process's user namespace.
var ownNamespace = sync.OnceValue(func() string {
	link, _ := os.Readlink("/proc/self/ns/user")
	return link
})

// ownUsers reports whether a process is in the user namespace of this one: what is
// mounted there was mounted by an administrator.
func ownUsers(pid int) bool {
	link, err := os.Readlink(procPath(pid, "ns/user"))
	return err == nil && link == ownNamespace()
}

// namespaceOwner returns the user who created the outermost of the user namespaces that
// the process is in and this process is not.
func namespaceOwner(pid int) (uint32, bool) {
	if ownUsers(pid) {
		return 0, false
	}
	fd, err := unix.Open(procPath(pid, "ns/user"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, false
	}
	var own unix.Stat_t
	if err := unix.Stat("/proc/self/ns/user", &own); err != nil {
		_ = unix.Close(fd)
		return 0, false
	}
	for range maxNesting {
		parent, err := unix.IoctlRetInt(fd, unix.NS_GET_PARENT)
		var st unix.Stat_t
		if err == nil {
			err = unix.Fstat(parent, &st)
		}
		if err != nil || st.Ino == own.Ino && st.Dev == own.Dev {
			if err == nil {
				_ = unix.Close(parent)
			}
			break // the parent is this process's own, or not visible
		}
		_ = unix.Close(fd)
		fd = parent
	}
	defer func() { _ = unix.Close(fd) }()
	owner, err := unix.IoctlGetUint32(fd, unix.NS_GET_OWNER_UID)
	return owner, err == nil
}
