// Package master runs a server as a master process and N worker processes. Go
// cannot fork, so each worker is a new process of the same program with the
// same arguments. It inherits the listening socket, the worker board and a
// lifeline to the master as open files.
//
// The master accepts no connections. It restarts a worker that dies and passes
// SIGTERM on. A worker that loses its lifeline exits, so no worker outlives its
// master, however the master ended.
package master
