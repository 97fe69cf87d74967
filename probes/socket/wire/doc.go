// Package wire has the messages that the kernel side of the probes writes and user space
// reads: a record per request, an event per read, write and close of a connection that
// user space frames, and a note when a process starts to serve.
package wire
