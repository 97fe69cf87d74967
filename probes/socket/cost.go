package socket

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// Cost is what a piece of work costs that is done again and again, in processor
// time, so that the pauses between can be made to fit. The zero value is ready to
// use.
type Cost struct{ last, before time.Duration }

// Measure does the work. Its time is that of the thread, which grows with the work
// and not with who else has the processor.
func (c *Cost) Measure(work func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	began := threadTime()
	err := work()
	c.last, c.before = threadTime()-began, c.last
	return err
}

// cheap is what work may take without being spared: on most hosts all of it does.
const cheap = 2 * time.Millisecond

// Worth reports whether a pause is share times longer than what the work takes
// beyond what is cheap. Of the last two times the less counts: interrupts and the
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
