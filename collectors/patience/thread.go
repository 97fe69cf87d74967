package patience

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// onThread runs f on a thread whose id is recorded.
func (j *job) onThread(f func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	j.thread.Store(int32(unix.Gettid()))
	f()
}

// waits reports whether the thread of a job waits in a system call. On a busy host
// it may instead wait for the CPU, before or after the call. That is not the fault
// of the process.
func (j *job) waits() bool {
	tid := j.thread.Load()
	if tid == 0 {
		return false // it has not started
	}
	raw, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/syscall", tid))
	if err != nil {
		return true // this kernel does not show it
	}
	number, _, _ := bytes.Cut(raw, []byte(" "))
	call, err := strconv.Atoi(string(number))
	return err == nil && call != unix.SYS_FUTEX
}
