// Package request holds the types that everyone downstream of the probes
// speaks: a Request with its stamps, phases and parts.
//
// All stamps are nanoseconds of the kernel's monotonic clock and are taken by
// probes. A stamp that was not seen is absent: its Stamp is zero, a value the
// kernel's clock never has, and every form that leaves the agent omits it.
// docs/phases.md is the contract these types implement.
package request
