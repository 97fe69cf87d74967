package patience

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// onThread runs f on a thread that is known.
func (j *job) onThread(f func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	j.thread.Store(int32(unix.Gettid()))
	f()
}

// waits reports whether the thread of a job waits in a system call. On a host that
// has no CPU to spare it may just have had no turn, or be back and wait for one:
// then the process that was asked is not to blame.
func (j *job) waits() bool {
	tid := j.thread.Load()
	if tid == 0 {
		return false // it has not begun
	}
	raw, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/syscall", tid))
	if err != nil {
		return true // this kernel does not tell
	}
	number, _, _ := bytes.Cut(raw, []byte(" "))
	call, err := strconv.Atoi(string(number))
	return err == nil && call != unix.SYS_FUTEX
}
