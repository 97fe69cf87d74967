package sandbox

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Survey is what the kernel supports for locking a process in.
type Survey struct {
	Filter   bool // system calls can be filtered
	Counts   bool // refused calls can be counted
	Landlock int  // its version; 0: not supported
}

// TakeSurvey queries the kernel. It changes nothing.
func TakeSurvey() Survey {
	// The agent does not use Landlock. A process in a Landlock domain cannot
	// look at processes outside of it, whatever the domain restricts: exe, root
	// and namespaces in /proc fail with EACCES. TestLandlockHidesProcesses
	// shows this.
	s := Survey{Filter: available(unix.SECCOMP_RET_ERRNO), Counts: available(unix.SECCOMP_RET_USER_NOTIF)}
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno == 0 {
		s.Landlock = int(version)
	}
	return s
}

func available(action uint32) bool {
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(&action)))
	return errno == 0
}
