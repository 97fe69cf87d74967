// Package threaded is the architecture of CherryPy, Paste and Apache's worker
// MPM. One thread accepts connections and passes them to worker threads through
// a bounded queue. A kept-alive connection occupies its worker. Requests beyond
// the number of workers wait accepted but unread. When the queue is also full,
// the acceptor pauses and the listen backlog fills.
package threaded
