// Package promtest runs a real Prometheus for tests: that of the distribution,
// on a free loopback port, with its data in a directory of the test.
package promtest
