// Package reader is the architecture of waitress: the main thread accepts and
// reads requests, bodies included, on an event loop; worker threads take
// complete requests from a queue, compute and write the response, and give the
// connection back. Requests beyond the number of workers wait after they were
// read, in the server's own queue.
package reader
