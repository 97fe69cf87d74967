// Package event is a small event loop on epoll: descriptors, timers and work
// posted from other threads, all handled on one thread by plain system calls.
package event
