// Package stamped makes the system calls that the truth covers, and returns
// when they returned, in CLOCK_MONOTONIC.
//
// A Go program continues after a system call only when its scheduler lets it.
// If the call took longer than about 20 µs, its place may have been given to
// another thread, and the thread sleeps until it gets one again. That takes
// microseconds on an idle machine and milliseconds on a busy one, and is not
// part of the call. So the clock is read between the call and the scheduler,
// where a server in C would read it.
package stamped
