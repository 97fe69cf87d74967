// Package sampling decides which requests become traces.
//
// A request is kept because it failed, because it was slow, because its parent
// was sampled, or by a ratio. A budget of spans per second limits all of these:
// it is divided evenly among the reasons, and lowers the probability of those
// that ask for more than their part.
//
// A choice by chance compares the probability with the randomness of the trace,
// as OpenTelemetry's consistent sampling does. Agents with the same probability
// make the same choice. The verdict contains the probability, so that requests
// can be counted from their traces. docs/telemetry.md says how.
package sampling
