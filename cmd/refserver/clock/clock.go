// Package clock reads CLOCK_MONOTONIC, the clock of the kernel's tracepoints,
// without a system call.
//
// unix.ClockGettime enters the kernel each time, because only the Go runtime
// may call the vDSO. The runtime does call it for every time.Time it makes,
// for the very same clock, but hides the value. So the package asks the kernel
// once, at start, which value belongs to one time.Time, and from then on adds
// the time that has passed since.
package clock

import (
	"time"

	"golang.org/x/sys/unix"
)

var (
	base   = time.Now()
	origin = calibrate()
)

// Now is CLOCK_MONOTONIC in nanoseconds. It is off by a constant per process
// that is less than half the time of one clock_gettime call (≈ 0.1 µs).
func Now() int64 { return origin + int64(time.Since(base)) }

// calibrate returns the clock's value at base. It keeps the closest of many
// tries, since a try can be interrupted between its reads.
func calibrate() int64 {
	best, at := time.Duration(1<<62), int64(0)
	for range 100 {
		var ts unix.Timespec
		before := time.Since(base)
		// CLOCK_MONOTONIC cannot fail on Linux.
		_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
		gap := time.Since(base) - before
		if gap < best {
			best, at = gap, ts.Nano()-int64(before+gap/2)
		}
	}
	return at
}

// Sleep blocks the calling thread in the kernel for d. time.Sleep would park
// the goroutine and make the thread wait for a lock instead.
func Sleep(d time.Duration) {
	left := unix.NsecToTimespec(int64(d))
	// A signal cuts the sleep short; Nanosleep then says how much is left.
	for unix.Nanosleep(&left, &left) == unix.EINTR {
	}
}
