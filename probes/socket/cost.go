package socket

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// Cost is the processor time of a piece of work that is repeated, from which the pauses
// between can be chosen. The zero value is ready to use.
type Cost struct{ last, before time.Duration }

// Measure does the work. It measures the time of the thread, which grows with the work
// and not with the load of the processor.
func (c *Cost) Measure(work func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	began := threadTime()
	err := work()
	c.last, c.before = threadTime()-began, c.last
	return err
}

// cheap is how much time work may take without longer pauses. On most hosts all work
// stays below it.
const cheap = 2 * time.Millisecond

// Worth reports whether a pause is at least share times as long as the part of the work's
// time that exceeds cheap. It uses the shorter of the last two times: interrupts and the
// host of a virtual machine make one longer now and then.
func (c *Cost) Worth(pause time.Duration, share int) bool {
	return pause >= time.Duration(share)*(min(c.last, c.before)-cheap)
}

func threadTime() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t) != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
