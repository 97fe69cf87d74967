// Package worker shows the worker pool of each service from outside: which workers
// there are, what each of them does now and did so far, and how many requests wait.
//
// Workers are found by what they do. A worker is a thread that started the response
// to a request, or read the request if there was no response, or waits for a
// connection on a socket of the service. All facts come from finished requests,
// from the kernel's state of the open connections, and from /proc for the processes
// that were found this way. No server is asked, so a full pool is shown as well as
// any other.
package worker
