// Package assemble turns the kernel's records and events into requests.
//
// An ordinary connection gives one record per request, which is parsed and passed
// on. If the kernel cannot frame a connection by itself (mostly because of
// pipelining), it reports each read and write, and the protocol's pairer does the
// framing. A record may also come before the request has certainly ended. This
// package decides by the protocol's framing whether it has.
package assemble
