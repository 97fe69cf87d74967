// Package stamped makes the system calls that the truth is about and says, by
// CLOCK_MONOTONIC, when they returned.
//
// A Go program goes on after a system call only when its scheduler lets it: if
// the call took longer than some 20 µs, its turn may have been given away, and
// the thread sleeps until it has another. That is microseconds on an idle
// machine, milliseconds on a busy one, and no part of the call. So the clock is
// read between the call and the scheduler, where a server in C would read it.
package stamped
