// Package reader is the architecture of waitress. The main thread accepts
// connections and reads requests, including bodies, on an event loop. Worker
// threads take complete requests from a queue, compute and write the response,
// and return the connection. Requests beyond the number of workers wait after
// they were read, in the server's own queue.
package reader
