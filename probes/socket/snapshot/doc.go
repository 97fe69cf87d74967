// Package snapshot has what the kernel knows at one moment: the connections in use, the
// listening sockets with the threads that wait on them, and the processes that have a
// connection open.
package snapshot
