// Package sock has the socket calls of the reference servers: plain system
// calls on plain descriptors, without Go's network poller, so that a server
// looks to the kernel like one written in C. It only adds retries after
// signals, loops over partial writes, and readable errors.
package sock
