// Package request holds the types that all code after the probes shares: a Request
// with its stamps, phases and parts.
//
// All stamps are nanoseconds of the kernel's monotonic clock and are taken by
// probes. A stamp that was not seen is absent: its Stamp is zero, a value that the
// kernel's clock never has, and no output of the agent contains it. The types
// implement what docs/phases.md promises ("the contract").
package request
