// Command collector is a small OpenTelemetry Collector, built from the
// upstream modules for the end-to-end tests: OTLP over gRPC and HTTP in, JSON
// lines of what arrived out, and what the delivered configurations use. It has a Go module of its own so that none of the
// Collector's dependencies reach the agent's.
//
// Usage:
//
//	collector --config file.yaml
package main
