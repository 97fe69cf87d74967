// Package load sends requests to a reference server as independent clients do:
// the arrival times are fixed in advance, so that a slow server does not slow
// the arrivals (an open loop, paced by vegeta).
//
// A Script is what one client does on its connection: one request; several
// requests one after the other, with pauses between them or all at once; a body
// that is sent slowly; a response that is read slowly. Every request has an id
// of its own, which is the trace id of its traceparent header. The client
// stamps it with CLOCK_MONOTONIC, the clock of the servers' truth and of the
// agent's probes.
package load
