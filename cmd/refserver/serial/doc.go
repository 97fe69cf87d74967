// Package serial is the architecture of development servers such as wsgiref:
// one process, one thread, one request at a time, and a connection for each
// request. The response is sent in several small writes.
package serial
