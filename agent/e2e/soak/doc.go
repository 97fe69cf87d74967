// Package soak runs the agent beside a hostile user and two servers under load, for
// seconds in make test and for as long as one likes with make soak.
package soak
