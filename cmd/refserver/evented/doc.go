// Package evented is the architecture of nginx and Tornado. In each worker
// process, one thread with one event loop does everything for all of its
// connections. If the application blocks, it blocks every connection of the
// loop. What only waits (/poll, the pauses of /stream) blocks no other
// connection.
package evented
