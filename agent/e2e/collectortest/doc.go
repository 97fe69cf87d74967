// Package collectortest runs a real OpenTelemetry Collector for tests. It
// builds the one in agent/e2e/collector, starts it on free loopback ports and
// reads back what arrived.
package collectortest
