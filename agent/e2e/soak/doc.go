// Package soak runs the agent together with a hostile user and two servers
// under load, for seconds in make test and for any time with make soak.
package soak
