package request

import (
	"bytes"
	"net/netip"
	"strconv"
	"time"
)

// Stamp is a moment of the kernel's monotonic clock in nanoseconds. Zero means
// that no probe saw the moment.
type Stamp uint64

// Seen reports whether a probe took the stamp.
func (s Stamp) Seen() bool { return s != 0 }

// Stamps are the moments of one request on one server-side socket.
type Stamps struct {
	Established Stamp // the connection became established in the kernel
	Accepted    Stamp // accept returned the socket to some thread
	Arrived     Stamp // first byte of the request in the receive queue
	ReadFirst   Stamp // the read that returned the first byte returned
	ArrivedLast Stamp // last byte of the request in the receive queue
	ReadLast    Stamp // the read that returned the last byte returned
	WriteFirst  Stamp // the first write of the response was entered
	WriteLast   Stamp // the last write of the response returned
	Acked       Stamp // the peer acknowledged the last byte of the response
	Closed      Stamp // the connection ended before the response did
	Marker      Stamp // the application was entered, where a marker tells
}

// Flags tell what was unusual about a request.
type Flags uint32

// The flags of the contract. Their names are those of FlagNames.
const (
	Pipelined     Flags = 1 << iota // sent before the previous response was complete
	EarlyResponse                   // the response began before the request was fully read
	Continued                       // an interim 100 response was sent
	Upgraded                        // the connection became a tunnel after this request
	Streamed                        // the response paused while the send buffer had room
	HeadCut                         // of the request line, only what the agent's head limit allows is known
	Orphan                          // a response was seen, its request's head was not
	EndUnknown                      // the end of the response was not seen: there is no duration
)

var flagNames = [...]string{"pipelined", "early_response", "continued", "upgraded", "streamed", "head_cut", "orphan", "end_unknown"}

// Names lists the set flags by name, in a fixed order. It allocates.
func (f Flags) Names() []string {
	var names []string
	for i, name := range flagNames {
		if f&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// The values of Request.Error for requests without a complete response. A
// response that says itself that it failed has its status for an error.
const (
	ErrorClosed       = "connection_closed"
	ErrorReset        = "connection_reset"
	ErrorTimeout      = "timeout"
	ErrorRefused      = "refused"            // the server said that it would not take the request
	ErrorAbandoned    = "abandoned"          // request bytes arrived, and nobody read them
	ErrorNoConnection = "connection_refused" // this and the following: calls only
	ErrorBacklogFull  = "backlog_full"       // a unix socket's, whose caller does not wait
	ErrorNoSocket     = "no_such_socket"     // nothing at the path of a unix socket
	ErrorUnreachable  = "unreachable"        // no way to the address
)

// Boundary says what separated parse from app.
type Boundary uint8

// BoundarySyscall takes the last read of the request as the boundary,
// BoundaryMarker the call of the application itself.
const (
	BoundarySyscall Boundary = iota
	BoundaryMarker
)

func (b Boundary) String() string {
	if b == BoundaryMarker {
		return "marker"
	}
	return "syscall"
}

// Detail is what one wire protocol knows about a request beyond what all
// protocols share. Protocol packages implement it; exporters that care type
// assert, the others ignore it.
type Detail interface {
	// Clone returns a copy that stays valid after the record's buffer is reused.
	Clone() Detail
}

// Request is one finished request. Byte slices and Detail point into the
// record the kernel wrote and are valid only until the consumer returns;
// Clone makes a copy that lasts.
type Request struct {
	Stamps

	Conn uint64 // the agent's number of the connection
	Seq  uint32 // the request's number on the connection, from 1

	ClientWait time.Duration // part of parse: the receive queue was empty
	Blocked    time.Duration // part of write_back: the send buffer was full
	Produce    time.Duration // part of write_back: between writes, buffer not full

	RequestBytes  uint64 // bytes on the socket, head included
	ResponseBytes uint64

	PID         uint32 // process that read the request
	TID         uint32 // thread that read the request
	WriterTID   uint32 // thread that began the response
	AcceptorTID uint32 // thread that accepted the connection; 0 when not seen
	Comm        string // command name of the reading thread

	Local Endpoint
	Peer  Endpoint
	// Client is whom a balancer speaks for, from its PROXY header; not valid
	// where it sent none.
	Client netip.AddrPort

	Service  string // identity of the server, see collectors/service
	Protocol string // "http/1.1", "http/1.0", …
	Method   string
	Path     []byte // without the query string
	Route    string // the configured template that the path matches, see collectors/route
	Status   int    // 0 when no response was seen
	Host     []byte
	Detail   Detail

	Error    string // error.type; empty for a request that succeeded
	Flags    Flags
	Boundary Boundary

	// TraceID, SpanID and ParentSpanID identify the request's SERVER span.
	// They are zero until a consumer that shows them asked for identifiers.
	TraceID      [16]byte
	SpanID       [8]byte
	ParentSpanID [8]byte
	TraceState   []byte
	Sampled      bool // the incoming traceparent had its sampled flag set
	ParentLocal  bool // the trace began on this host: Sampled says nothing

	Links Links
	Calls []*Call // what the server asked of others for it, in order; shared by clones
	Depth int     // calls on this host between the trace's first request and this one
}

// Clone returns a copy that shares no memory with r.
func (r *Request) Clone() *Request {
	c := *r
	c.Path = bytes.Clone(r.Path)
	c.Host = bytes.Clone(r.Host)
	c.TraceState = bytes.Clone(r.TraceState)
	c.Local.Unix = bytes.Clone(r.Local.Unix)
	c.Peer.Unix = bytes.Clone(r.Peer.Unix)
	if r.Detail != nil {
		c.Detail = r.Detail.Clone()
	}
	return &c
}

// Failed reports whether the request counts as an error: no complete response,
// or a status of 500 and above.
func (r *Request) Failed() bool { return r.Error != "" || r.Status >= 500 }

// Endpoint is one end of a connection: an address and port, or a unix path.
type Endpoint struct {
	Addr netip.AddrPort // zero for unix sockets
	Unix []byte         // path or @abstract name; nil for TCP
	IsUn bool           // a unix socket, also when it has no name
}

// Append writes the endpoint as the contract shows it: 127.0.0.1:8080,
// [::1]:8080 or unix:/run/app.sock.
func (e Endpoint) Append(b []byte) []byte {
	if e.IsUn {
		return append(append(b, "unix:"...), e.Unix...)
	}
	if !e.Addr.IsValid() {
		return b
	}
	if a := e.Addr.Addr(); a.Is4In6() {
		b = a.Unmap().AppendTo(b)
		return strconv.AppendUint(append(b, ':'), uint64(e.Addr.Port()), 10)
	}
	return e.Addr.AppendTo(b)
}

// String is Append as a string.
func (e Endpoint) String() string { return string(e.Append(nil)) }
