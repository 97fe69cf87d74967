// Package detect knows all protocols and finds the protocol of a connection by its
// first bytes. Nothing else decides on a protocol, neither the port nor the name of
// the server.
package detect
