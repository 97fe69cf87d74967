package request

import "time"

// Ref names one request, or one call, of this run of the agent: the agent's
// number of its connection and its own number on it. The zero Ref is none.
type Ref struct {
	Conn uint64
	Seq  uint32
}

// Known reports whether the Ref names something.
func (r Ref) Known() bool { return r.Conn != 0 }

// Links are what the kernel saw of a request's place among others on this
// host. They are hints for package stitch; nothing else needs them.
type Links struct {
	Caller uint64 // connection of the call at the other end, when a local server made it; 0 otherwise
	Cause  Ref    // the call that the answering thread read from last, before it began the response
	Calls  bool   // the server that read it makes calls itself
	Clue   *Clue  // of its head, where the server makes calls; shared by clones
}

// Evidence is what speaks for the request that a call is said to belong to.
type Evidence uint8

// The kinds of evidence, which can come together.
const (
	// EvidenceAlone: the thread never had two requests at once.
	EvidenceAlone Evidence = 1 << iota
	// EvidenceDirect: the thread has many at once, and began the call right
	// where it had read the request, as it did every time before.
	EvidenceDirect
	// EvidenceFoul: the thread began the call where it had begun another one
	// already: there is no such order.
	EvidenceFoul
	// EvidenceNoReader: the thread reads no requests.
	EvidenceNoReader
	// EvidenceOnly: of the requests that the thread read, one was unanswered.
	EvidenceOnly
	// EvidenceSole: of those that the whole process read, one was.
	EvidenceSole
	// EvidenceCounted: CallLinks.Open counts all of the process's requests.
	EvidenceCounted
	// EvidenceClean: the thread began the call as with EvidenceDirect, when it
	// had begun too few for that.
	EvidenceClean
)

// CallLinks are what the kernel saw of a call's place, as hints for package
// stitch.
type CallLinks struct {
	ID       Ref
	For      Ref // the request that the thread worked on when it began the call
	After    Ref // the call whose answer it had read since; none if it was the request itself
	Evidence Evidence
	// Used is the request that the thread worked on which first wrote, and
	// UseEvidence what spoke for it then. It can be another than For where the
	// connection was opened in advance.
	Used        Ref
	UseEvidence Evidence
	Open        uint32 // unanswered requests of the process then
	Clue        *Clue  // of its head, where that is HTTP
	UnderWay    bool   // more of its response is due: it will be handed in again
	Again       bool   // it was handed in before
}

// CallEnd says how the end of a call is known.
type CallEnd uint8

const (
	// CallEndSeen: the response was complete, or the next call on the
	// connection or its close came after GotLast.
	CallEndSeen CallEnd = iota
	// CallEndLastRead: the protocol is not framed, and nothing came after
	// GotLast until the call's request was handed on.
	CallEndLastRead
	// CallEndUnknown: more is due of the response, or it cannot be told where it
	// ends. There is no duration.
	CallEndUnknown
)

// String is empty where the end is known for certain.
func (e CallEnd) String() string {
	return [...]string{CallEndSeen: "", CallEndLastRead: "last_read", CallEndUnknown: "unknown"}[e]
}

// Call is a request that a server made to another one while it worked on one
// of its own. It is timed with any protocol; what was asked is known where
// the protocol is. A Call owns its memory and does not change once a Request
// carries it.
type Call struct {
	SpanID [8]byte
	Links  CallLinks

	Start     Stamp // began to connect, or to write on a connection kept alive
	Connected Stamp // established; zero on a connection kept alive
	SentFirst Stamp // the first write of the request was entered
	SentLast  Stamp // its last write returned
	GotFirst  Stamp // the read that returned the response's first byte returned
	GotLast   Stamp // the last read of the response returned
	Closed    Stamp // the connection ended, where that came before the end of the call
	Ending    CallEnd

	RequestBytes  uint64
	ResponseBytes uint64

	PID   uint32
	TID   uint32 // thread that began the call
	Local Endpoint
	Peer  Endpoint // the server that was called

	Protocol string // empty when it is not known
	Method   string
	Path     []byte // without the query string
	Host     []byte
	Status   int
	Error    string

	Shown bool // the request that it led to on this host is part of the trace
}

// Used is when the caller began to use the connection: it may have been opened
// before that, for whatever came.
func (c *Call) Used() Stamp {
	if c.SentFirst.Seen() {
		return c.SentFirst
	}
	return c.Start
}

// End is the last moment of the call that was seen.
func (c *Call) End() Stamp {
	if c.GotLast.Seen() {
		return c.GotLast
	}
	return max(c.Start, c.SentLast, c.Closed)
}

// Duration is how long the caller was at it, if that is known.
func (c *Call) Duration() (d time.Duration, ok bool) {
	return time.Duration(c.End() - c.Start), c.Ending != CallEndUnknown
}

// Failed reports whether the call had no complete answer, or one that tells
// the caller of an error.
func (c *Call) Failed() bool { return c.Error != "" || c.Status >= 400 }
