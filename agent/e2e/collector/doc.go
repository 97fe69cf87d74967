// Command collector is a small OpenTelemetry Collector for the end-to-end
// tests, built from the upstream modules. It receives OTLP over gRPC and HTTP,
// writes what arrived as JSON lines, and has the components of the delivered
// configurations. It has a Go module of its own, so that the dependencies of
// the Collector do not become dependencies of the agent.
//
// Usage:
//
//	collector --config file.yaml
package main
