// Package e2e tests the agent from outside: it starts the binaries, lets real
// and scripted servers serve requests, and compares what the agent prints with
// what the servers and clients know themselves.
//
// The tests need root and, for the real servers, the programs that `make deps`
// installs. The tests of the hard cases need neither those nor a Go toolchain:
// compiled to one static binary they also run in a bare guest (see
// package harness for the variables that say where the agent is).
package e2e
