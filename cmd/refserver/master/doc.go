// Package master runs a server as a master process and N worker processes. Go
// cannot fork, so each worker is the same program with the same arguments,
// started anew; it finds the listening socket, the worker board and a lifeline
// to the master among its open files.
//
// The master accepts nothing. It restarts a worker that dies and passes
// SIGTERM on. A worker that loses its lifeline exits: none outlives its
// master, however that ended.
package master
