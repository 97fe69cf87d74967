// Package metrics counts requests. An Aggregator gets every finished request
// and keeps one series per set of bounded attributes. A Snapshot is its state
// at one moment. Package otlp pushes it and package prometheus serves it.
//
// The metrics do not depend on which requests become traces: every request
// counts. All sums are kept in whole nanoseconds or bytes, so the four phases
// add up to the duration exactly.
//
// Families lists the metrics with their units; docs/telemetry.md explains them.
package metrics
