// Package clock reads CLOCK_MONOTONIC, the clock of the kernel's tracepoints,
// without a system call.
//
// unix.ClockGettime enters the kernel each time, because only the Go runtime
// may call the vDSO. The runtime calls it for every time.Time, for the same
// clock, but hides the value. So the package asks the kernel once, at the
// start, which value belongs to one time.Time. From then on it adds the time
// that has passed since.
package clock

import (
	"time"

	"golang.org/x/sys/unix"
)

var (
	base   = time.Now()
	origin = calibrate()
)

// Now returns CLOCK_MONOTONIC in nanoseconds. It differs by a constant per
// process that is less than half the time of one clock_gettime call (≈ 0.1 µs).
func Now() int64 { return origin + int64(time.Since(base)) }

// calibrate returns the value of the clock at base. It keeps the closest of
// many tries, because a try can be interrupted between its reads.
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
// the goroutine instead, and the thread would wait for a lock.
func Sleep(d time.Duration) {
	left := unix.NsecToTimespec(int64(d))
	// A signal interrupts the sleep; Nanosleep then returns the remaining time.
	for unix.Nanosleep(&left, &left) == unix.EINTR {
	}
}
