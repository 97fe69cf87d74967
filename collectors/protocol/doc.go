// Package protocol defines what a protocol is to Lapwing. Each protocol is a
// package below this one and does not depend on the others. Package detect, which
// is also below this one, has the list of them.
//
// A protocol package turns bytes that probes copied from a server-side socket into
// facts about a request. It is pure Go and uses no kernel, clock or files, so that
// each hard case can be tested with bytes. It offers:
//
//   - parsers of message heads, which allocate nothing, accept heads that are
//     cut at any byte, and say when bytes are not of the protocol at all;
//   - a detail type that implements request.Detail, for what the protocol knows
//     beyond what all protocols share;
//   - a Pairer, if one record per request is not enough; it frames the messages
//     of a single connection from its reads and writes;
//   - a detector, which decides by the first bytes whether a connection is of the
//     protocol.
//
// A fact that is not in the bytes is omitted, never guessed. What had to be given
// up (a lost boundary, a head that is too long to keep) is counted.
package protocol
