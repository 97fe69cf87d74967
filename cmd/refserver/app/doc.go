// Package app is the application that all reference servers serve. It knows
// neither the sockets of its server nor the protocol: it writes to a Writer. If
// a response has to pause, it returns what is to be done later. So it runs on a
// blocking thread as well as on an event loop.
package app
