// Package load sends requests to a reference server the way clients do that
// know nothing of it: when a client comes is fixed beforehand, so that a slow
// server does not slow the arrivals (an open loop, paced by vegeta).
//
// What one client does on its connection is a Script: one request, several one
// after the other with time to think in between or all at once, a body that
// comes slowly, a response that is read slowly. Every request has an id of its
// own, which travels as the trace id of its traceparent header, and is stamped
// by the client with CLOCK_MONOTONIC, the clock of the servers' truth and of
// the agent's probes.
package load
