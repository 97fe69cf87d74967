// Package peer plays both ends of a connection by a script, with plain system
// calls, and stamps each of them, so that a test knows what a probe must see.
//
// A Program is what one process does: it holds one list of steps per thread.
// Start runs it in a process of its own (the test binary, started again), with
// blocking descriptors, threads locked to their goroutines and, where the
// caller may, real-time priority: what the kernel does is then what the script
// says, and the Go scheduler and its poller are not in the way.
//
// All stamps are nanoseconds of the kernel's monotonic clock, the clock that
// the probes read.
package peer
