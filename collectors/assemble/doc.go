// Package assemble turns what the kernel hands out into requests.
//
// The ordinary connection gives one record per request, which is parsed and
// passed on. For a connection that the kernel could not take apart by itself
// (pipelining, mostly) it hands out each read and write, and the protocol's
// pairer does the framing. A record may also come before its request surely
// ended; whether it did is decided here, by the protocol's framing.
package assemble
