// Package child runs the programs that the tools start, waits until they are
// ready, and makes sure that none of them keeps running.
package child
