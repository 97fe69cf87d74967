// Package peer plays both ends of a connection from scripts, with plain system
// calls, and stamps each of them, so that a test knows what a probe must see.
//
// A Program is what one process does. It has one list of steps per thread.
// Start runs it in a process of its own (the test binary, started again) with
// blocking descriptors, threads locked to their goroutines and, if permitted,
// real-time priority. So the kernel does what the script says, and the Go
// scheduler and its poller do not interfere.
//
// All stamps are nanoseconds of the kernel's monotonic clock, the clock that
// the probes read.
package peer
