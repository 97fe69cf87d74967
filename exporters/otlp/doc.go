// Package otlp sends requests as OpenTelemetry traces, and the metrics of
// package metrics, to any OTLP endpoint over gRPC or HTTP.
//
// A request becomes one SERVER span and an INTERNAL child for each of its
// phases, with the times the kernel saw. docs/telemetry.md lists every name.
//
// The way of a request: Export decides on sampling, copies what is kept into
// a bounded queue and returns. One worker turns batches of the queue into
// spans and uploads them with retry and back-off. What cannot be delivered is
// dropped and counted per cause; nothing ever waits for a receiver.
//
// Metrics are pushed at an interval, one resource per service. They are
// cumulative, so an upload that fails loses nothing.
package otlp
