// Package protocoltest helps to test pairers. Script plays the events of a
// connection, Fuzz makes events from fuzzed bytes, and Vars encodes requests for
// the gateway protocols.
package protocoltest
