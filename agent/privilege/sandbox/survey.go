package sandbox

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Survey is what the kernel has to lock a process in with.
type Survey struct {
	Filter   bool // of system calls
	Counts   bool // refused calls can be counted
	Landlock int  // its version, 0: none
}

// TakeSurvey asks the kernel. Nothing changes.
func TakeSurvey() Survey {
	// Landlock is not used by the agent: whoever is in a domain of it may not
	// look at processes outside, whatever the domain restricts (exe, root and
	// namespaces in /proc fail with EACCES). TestLandlockHidesProcesses says so.
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
