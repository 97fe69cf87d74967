// Package jaegertest runs a real Jaeger for tests. It builds the one that
// agent/e2e/jaeger names, and runs it with the configuration of
// dashboards/stack on free loopback ports.
//
// The first build on a machine takes about four minutes on two cores. Later
// ones use Go's cache.
package jaegertest
