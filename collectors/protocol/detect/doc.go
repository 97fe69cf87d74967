// Package detect knows all wire protocols and tells by the first bytes of a
// connection which of them it is. Nothing else decides on a protocol: neither
// the port nor the name of the server.
package detect
