package request

import "time"

// Ref identifies one request or one call within this run of the agent. It consists
// of the agent's number of the connection and the number of the request on that
// connection. The zero Ref identifies nothing.
type Ref struct {
	Conn uint64
	Seq  uint32
}

// Known reports whether r identifies a request or a call.
func (r Ref) Known() bool { return r.Conn != 0 }

// Links are what the kernel saw of how a request relates to others on this host.
// They are hints for package stitch.
type Links struct {
	Caller uint64 // connection of the call at the other end, if a local server made it; else 0
	Cause  Ref    // the call that the answering thread read from last before it started the response
	Calls  bool   // the server that read the request makes calls itself
	Clue   *Clue  // of the request's head, if the server makes calls; shared by clones
}

// Evidence says why a call is thought to belong to a request.
type Evidence uint8

// The kinds of evidence. Several can apply to one call.
const (
	// EvidenceAlone: the thread never had two requests at once.
	EvidenceAlone Evidence = 1 << iota
	// EvidenceDirect: the thread has many requests at once. It started the call
	// right where it had read the request, as it did every time before.
	EvidenceDirect
	// EvidenceFoul: the thread started the call where it had already started
	// another one, so it does not keep the order that EvidenceDirect relies on.
	EvidenceFoul
	// EvidenceNoReader: the thread reads no requests.
	EvidenceNoReader
	// EvidenceOnly: exactly one of the requests that the thread read was
	// unanswered.
	EvidenceOnly
	// EvidenceSole: exactly one of the requests that the whole process read was
	// unanswered.
	EvidenceSole
	// EvidenceCounted: CallLinks.Open counts all requests of the process.
	EvidenceCounted
	// EvidenceClean: like EvidenceDirect, but the thread had started too few calls
	// to show that it always does so.
	EvidenceClean
)

// CallLinks are what the kernel saw of how a call relates to requests and other
// calls. They are hints for package stitch.
type CallLinks struct {
	ID       Ref
	For      Ref // the request that the thread worked on when it started the call
	After    Ref // the call whose answer the thread had read since; zero if it had only read the request
	Evidence Evidence
	// Used is the request that a thread worked on when it made the first write, and
	// UseEvidence the evidence for it at that time. Used can differ from For if the
	// connection was opened in advance.
	Used        Ref
	UseEvidence Evidence
	Open        uint32 // unanswered requests of the process at that time
	Clue        *Clue  // of the call's head, if it is HTTP
	UnderWay    bool   // more of its response is due: the call will be reported again
	Again       bool   // the call was reported before
}

// CallEnd says how the end of a call is known.
type CallEnd uint8

const (
	// CallEndSeen: the response was complete, or the next call on the connection or
	// its close came after GotLast.
	CallEndSeen CallEnd = iota
	// CallEndLastRead: the protocol is not framed, and nothing came after GotLast
	// until the call's request was passed on.
	CallEndLastRead
	// CallEndUnknown: more of the response is due, or its end cannot be found.
	// There is no duration.
	CallEndUnknown
)

// String returns the empty string for an end that was seen.
func (e CallEnd) String() string {
	return [...]string{CallEndSeen: "", CallEndLastRead: "last_read", CallEndUnknown: "unknown"}[e]
}

// Call is a request that a server made to another server while it worked on a
// request of its own. It is timed with any protocol. What was asked is known only
// for known protocols. A Call owns its memory and does not change once a Request
// carries it.
type Call struct {
	SpanID [8]byte
	Links  CallLinks

	Start     Stamp // start of connect, or of the write on a kept-alive connection
	Connected Stamp // established; zero on a kept-alive connection
	SentFirst Stamp // the first write of the request was entered
	SentLast  Stamp // the last write of the request returned
	GotFirst  Stamp // the read that returned the response's first byte returned
	GotLast   Stamp // the last read of the response returned
	Closed    Stamp // the connection ended, if it did so before the end of the call
	Ending    CallEnd

	RequestBytes  uint64
	ResponseBytes uint64

	PID   uint32
	TID   uint32 // thread that started the call
	Local Endpoint
	Peer  Endpoint // the server that was called

	Protocol string // empty if not known
	Method   string
	Path     []byte // without the query string
	Host     []byte
	Status   int
	Error    string

	Shown bool // the request that the call led to on this host is part of the trace
}

// Used returns the moment when the caller started to use the connection. The
// connection can have been opened earlier, before there was a request for it.
func (c *Call) Used() Stamp {
	if c.SentFirst.Seen() {
		return c.SentFirst
	}
	return c.Start
}

// End returns the last moment of the call that was seen.
func (c *Call) End() Stamp {
	if c.GotLast.Seen() {
		return c.GotLast
	}
	return max(c.Start, c.SentLast, c.Closed)
}

// Duration returns the time from the start to the end of the call. ok is false if
// the end is not known.
func (c *Call) Duration() (d time.Duration, ok bool) {
	return time.Duration(c.End() - c.Start), c.Ending != CallEndUnknown
}

// Failed reports whether the call had no complete answer or an error status (400
// and above).
func (c *Call) Failed() bool { return c.Error != "" || c.Status >= 400 }
