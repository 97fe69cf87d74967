// Package worker shows the worker pool of each service from outside: who
// serves, what each of them does now, what it did so far, and who waits.
//
// Workers are learned from what they do. A worker is the thread that began the
// response of a request, or read it where no response was begun, or that waits
// for a connection on a socket of the service. Everything comes from finished
// requests, from the kernel's state of the connections that are open now, and
// from /proc for the processes that were found this way. No server is asked, so
// a pool that is full shows as well as one that is not.
package worker
