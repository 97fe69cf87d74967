package protocol

import (
	"time"

	"lapwing/collectors/request"
)

// Pairer frames the messages of one connection from its reads and writes, and pairs
// requests with responses. It passes each finished request to Options.Done. It is
// not safe for concurrent use.
type Pairer interface {
	// Handle takes the next event of the connection.
	Handle(ev *Event)
	// Lose says that events of the connection are missing before the next one. The
	// Pairer then reports no request of which it can no longer be certain.
	Lose()
	// Expire passes on a request whose response was silent for at least silence, if
	// the end of the response can no longer be seen.
	Expire(now request.Stamp, silence time.Duration)
	// Outstanding returns the number of requests that wait for their response to
	// end.
	Outstanding() int
	// Counts returns what was given up so far.
	Counts() Counts
	// Tunnel reports whether the connection left the protocol by an upgrade. It has
	// no more requests then.
	Tunnel() bool
}

// Traced is a request.Detail that can carry the client's trace context.
type Traced interface {
	// TraceContext returns the traceparent and the tracestate as sent, or nil for
	// what was not sent.
	TraceContext() (parent, state []byte)
}

// Options are the parameters of a Pairer.
type Options struct {
	// Base holds what all requests of the connection share (Conn, addresses,
	// service, acceptor, the stamps established and accepted) and the Seq of the
	// last request that was already reported.
	Base request.Request
	// Done takes each finished request. The request is valid until Done returns.
	Done func(*request.Request)
	// Full reports whether the outstanding requests of all connections have reached
	// their limit. Each connection may then keep at most AlwaysKept. If Full is
	// nil, there is no common limit.
	Full func() bool
	// Unknown is called at most once per connection. It takes the reason why the
	// connection is of no known protocol after all, or violates its protocol.
	Unknown func(reason string)
}

// MaxKept is how many outstanding requests of a connection are kept at most, with
// any protocol.
const MaxKept = 1000

// AlwaysKept is how many outstanding requests of a connection are always kept,
// however many the others have. So no client can take the room of another service's
// clients.
const AlwaysKept = 4

// NoRoom reports whether a connection that already keeps that many requests may
// keep no more.
func (o *Options) NoRoom(kept int) bool { return kept >= AlwaysKept && o.Full != nil && o.Full() }

// Shared returns a request with the part of Base that all requests of the
// connection share.
func (o *Options) Shared() request.Request {
	b := &o.Base
	shared := request.Request{
		Stamps: request.Stamps{Established: b.Established, Accepted: b.Accepted},
		Conn:   b.Conn, AcceptorTID: b.AcceptorTID,
		Local: b.Local, Peer: b.Peer, Client: b.Client, Service: b.Service,
		Links: request.Links{Caller: b.Links.Caller},
	}
	return *shared.Clone()
}

// Counts are what a Pairer had to give up.
type Counts struct {
	// Desynced counts how often the framing of a direction was lost, because bytes
	// were not at hand or a length was wrong.
	Desynced uint64
	// Overflowed counts requests that are not reported because too many were
	// outstanding.
	Overflowed uint64
	// HeadsCut counts heads of which a part was not at hand or not kept.
	HeadsCut uint64
	// Unpaired counts what looked like a message but has no counterpart: responses
	// without a request, bytes that were wrongly taken for a request, and requests
	// in bytes that turned out to belong to a tunnel.
	Unpaired uint64
}

// Match says whether the first bytes of a connection are of a protocol.
type Match uint8

// The answers of a detector. Maybe asks for more bytes. A detector that gets at
// least MatchBytes must decide.
const (
	No Match = iota
	Maybe
	Yes
)

// MatchBytes is a number of bytes that is always enough to decide on a protocol.
const MatchBytes = 64

// Protocol is one entry of the list of known protocols. A function that the
// protocol does not offer is nil.
type Protocol struct {
	Name string
	// Detect looks at the first bytes that a server read on a connection.
	Detect func(b []byte) Match
	New    func(Options) Pairer
	// Decoder is set for the protocol that the kernel frames by itself.
	Decoder func() Decoder
	// Calls reports whether a call is of the protocol. b holds the first bytes that
	// were sent, and sent is the number of all of them.
	Calls func(b []byte, sent uint64) bool
}
