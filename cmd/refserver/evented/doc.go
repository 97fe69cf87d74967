// Package evented is the architecture of nginx and Tornado: in each worker
// process one thread with one event loop does everything, for all of its
// connections. Whatever blocks in the application blocks every connection of
// the loop; what only waits (/poll, the pauses of /stream) blocks nobody.
package evented
