// Package blocking serves HTTP on a thread that blocks: in read while a client
// is silent, in the application, in write while a client is slow. Serial,
// prefork and threaded servers are made of such workers.
package blocking
