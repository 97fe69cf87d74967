// Package jaegertest runs a real Jaeger for tests: it builds the one that
// agent/e2e/jaeger names, and runs it with the configuration of
// dashboards/stack on free loopback ports.
//
// The first build on a machine takes some four minutes on two cores; later ones
// find it in Go's cache.
package jaegertest
