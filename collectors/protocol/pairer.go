package protocol

import (
	"time"

	"lapwing/collectors/request"
)

// Pairer frames the messages of one connection from its reads and writes and
// pairs requests with responses. Each finished request goes to the Done of its
// Options. It is not safe for concurrent use.
type Pairer interface {
	// Handle takes in the next event of the connection.
	Handle(ev *Event)
	// Lose says that events of the connection are missing before the next
	// one. No request is made of what cannot be told for sure any more.
	Lose()
	// Expire hands out a request whose response can no longer be seen to end,
	// if nothing was written of it for that long.
	Expire(now request.Stamp, silence time.Duration)
	// Outstanding is the number of requests that wait for their response to end.
	Outstanding() int
	// Counts tells what was given up so far.
	Counts() Counts
	// Tunnel reports whether the connection stopped to speak the protocol
	// after an upgrade. No more requests come of it.
	Tunnel() bool
}

// Traced is a request.Detail that may carry the client's trace context.
type Traced interface {
	// TraceContext is the traceparent and the tracestate as sent, nil if they
	// were not.
	TraceContext() (parent, state []byte)
}

// Options are what a Pairer is made with.
type Options struct {
	// Base gives what all requests of the connection share (Conn, addresses,
	// service, acceptor, the stamps established and accepted) and the Seq of
	// the last request that was already reported.
	Base request.Request
	// Done takes each finished request, which is valid until it returns.
	Done func(*request.Request)
	// Full reports whether so many requests are outstanding, on all connections
	// together, that none may keep more than AlwaysKept. Nil never says so.
	Full func() bool
	// Unknown is told, at most once, why the connection is of no known
	// protocol after all, or does not keep to its protocol.
	Unknown func(reason string)
}

// MaxKept is how many outstanding requests of a connection are kept at most, by any
// protocol.
const MaxKept = 1000

// AlwaysKept is how many outstanding requests of a connection are kept whatever the
// others have: so no client takes the room of those of another service.
const AlwaysKept = 4

// NoRoom reports whether a connection that keeps so many may keep no more.
func (o *Options) NoRoom(kept int) bool { return kept >= AlwaysKept && o.Full != nil && o.Full() }

// Shared is what of the base each request begins with.
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
	// Desynced counts how often the place in a direction was lost, because
	// bytes were not at hand or a length was not true.
	Desynced uint64
	// Overflowed counts requests that are not reported because too many were
	// outstanding.
	Overflowed uint64
	// HeadsCut counts heads of which something was not at hand or not kept.
	HeadsCut uint64
	// Unpaired counts what looked like a message and has no counterpart:
	// responses to nothing, bytes taken for a request that were none, requests
	// in bytes that a tunnel made its own.
	Unpaired uint64
}

// Match says whether the first bytes of a connection are of a protocol.
type Match uint8

// The answers of a detector. Maybe asks for more bytes; a detector that is
// given MatchBytes of them or more has to decide.
const (
	No Match = iota
	Maybe
	Yes
)

// MatchBytes are always enough to tell a protocol.
const MatchBytes = 64

// Protocol is one entry of the list of known protocols. What it does not offer is nil.
type Protocol struct {
	Name string
	// Detect looks at the first bytes that a server read on a connection.
	Detect func(b []byte) Match
	New    func(Options) Pairer
	// Decoder is for one that the kernel frames by itself.
	Decoder func() Decoder
	// Calls tells whether a call is of the protocol, by the first of the bytes that
	// were sent, and how many those were in all.
	Calls func(b []byte, sent uint64) bool
}
