// Package metrics counts requests. An Aggregator is fed every finished request
// and keeps one series per set of bounded attributes; a Snapshot is its state
// at one moment, which package otlp pushes and package prometheus serves.
//
// Nothing here depends on which requests become traces: every request counts.
// All sums are kept in whole nanoseconds or bytes, so the four phases add up
// to the duration exactly.
//
// Families lists the metrics with their units; docs/telemetry.md explains them.
package metrics
