// Package tempotest runs a real Tempo for tests: it builds the one that
// agent/e2e/tempo names, and runs it with the configuration of
// dashboards/stack on free loopback ports and in a directory of the test.
//
// The first build on a machine takes some four minutes on two cores; later ones
// find it in Go's cache.
package tempotest
