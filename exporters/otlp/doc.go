// Package otlp sends requests as OpenTelemetry traces, and the metrics of
// package metrics, to any OTLP endpoint over gRPC or HTTP.
//
// A request becomes one SERVER span and an INTERNAL child for each of its
// phases, with the times of the kernel. docs/telemetry.md lists every name.
//
// Trace gets the sampling decision from package sampling, copies a sampled
// request into a bounded queue and returns. One worker turns batches of the
// queue into spans and uploads them with retries and back-off. What cannot be
// delivered is dropped and counted by cause. Nothing ever waits for a receiver.
//
// Metrics are pushed at an interval, with one resource per service. They are
// cumulative, so a failed upload loses nothing.
package otlp
