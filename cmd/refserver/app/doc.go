// Package app is the application that all reference servers serve. It knows
// neither its server's sockets nor its protocol: it writes to a Writer, and
// where a response has to pause it returns what is to be done later, so that it
// runs on a blocking thread and on an event loop alike.
package app
