// Package e2e tests the agent from outside. It starts the binaries, lets real
// and scripted servers serve requests, and compares the output of the agent
// with what the servers and clients recorded themselves.
//
// The tests need root and, for the real servers, the programs that `make deps`
// installs. The tests of the hard cases need neither those nor a Go toolchain:
// compiled to one static binary, they also run in a minimal guest (see package
// harness for the variables that name the binaries).
package e2e
