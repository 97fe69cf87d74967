// Package protocol says what a wire protocol is to Lapwing. Each protocol is a
// package below this one and knows nothing of the others.
//
// Package detect, below this one too, holds the list of them.
//
// A protocol package turns bytes that probes copied off a server-side socket
// into facts about a request. It is pure Go: no kernel, no clock, no files, so
// that every hard case is a test on bytes. It offers:
//
//   - parsers of message heads, which allocate nothing, accept heads that are
//     cut at any byte, and say when bytes are not of the protocol at all;
//   - a detail type that implements request.Detail for what the protocol knows
//     beyond what all protocols share;
//   - where one record per request is not enough, a Pairer that frames the
//     messages of a single connection from its reads and writes;
//   - a detector, which tells by the first bytes whether a connection is of the
//     protocol.
//
// A fact that is not in the bytes is left out, never guessed. What had to be
// given up (a lost boundary, a head too long to keep) is counted.
package protocol
