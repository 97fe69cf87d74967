// Package sock is the socket calls of the reference servers: plain system
// calls on plain descriptors, past Go's network poller, so that a server looks
// to the kernel like one written in C. It adds retries after signals, loops
// over partial writes and readable errors, nothing else.
package sock
