package request

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Clock converts monotonic stamps to wall time. The offset between the two clocks
// changes when NTP or an operator sets the wall clock, so the agent calls Sync
// every few seconds.
type Clock struct{ offset atomic.Int64 }

// NewClock returns a synchronised clock.
func NewClock() *Clock {
	c := new(Clock)
	c.Sync()
	return c
}

// Sync measures the offset again. It makes several attempts and takes the one with
// the shortest gap, because an attempt can be interrupted between its two clock
// reads.
func (c *Clock) Sync() {
	best := int64(1) << 62
	for range 5 {
		before := Now()
		wall := time.Now().UnixNano()
		after := Now()
		if gap := int64(after - before); gap < best {
			best = gap
			c.offset.Store(wall - int64(before) - gap/2)
		}
	}
}

// UnixNano returns the wall time of a stamp in nanoseconds since 1970.
func (c *Clock) UnixNano(s Stamp) int64 { return int64(s) + c.offset.Load() }

// Time returns the wall time of a stamp.
func (c *Clock) Time(s Stamp) time.Time { return time.Unix(0, c.UnixNano(s)) }

// Now returns the time of the kernel's monotonic clock, the clock of all stamps.
func Now() Stamp {
	var ts unix.Timespec
	// CLOCK_MONOTONIC cannot fail on Linux.
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return Stamp(ts.Nano())
}
