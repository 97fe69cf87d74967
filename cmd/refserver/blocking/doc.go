// Package blocking serves HTTP on a thread that blocks: in read while a client
// is silent, in the application, and in write while a client is slow. Serial,
// prefork and threaded servers consist of such workers.
package blocking
