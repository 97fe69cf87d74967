// Package process does what every server process does at its start and end:
// listen, open the truth file, print the address, and on SIGTERM finish the
// requests in progress before it exits.
package process
