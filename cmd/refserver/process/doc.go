// Package process is what every server process does at its start and at its
// end: listen, open the truth, say where it listens, and on SIGTERM finish
// what is in progress before it exits.
package process
