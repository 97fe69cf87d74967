// Package threaded is the architecture of CherryPy, Paste and Apache's worker
// MPM: one thread accepts and hands connections over a bounded queue to worker
// threads. A kept-alive connection pins its worker. Requests beyond the number
// of workers wait accepted but unread; when the queue is full, too, the
// acceptor pauses and the listen backlog fills.
package threaded
