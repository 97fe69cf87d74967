// Package event is a small event loop on epoll. It handles descriptors, timers
// and work posted from other threads on one thread, with plain system calls.
package event
