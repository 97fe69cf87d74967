package request

import (
	"bytes"
	"net/netip"
	"strconv"
	"time"
)

// Stamp is a moment on the kernel's monotonic clock, in nanoseconds. Zero means
// that no probe saw the moment.
type Stamp uint64

// Seen reports whether a probe took the stamp.
func (s Stamp) Seen() bool { return s != 0 }

// Stamps are the moments of one request on one server-side socket.
type Stamps struct {
	Established Stamp // the connection became established in the kernel
	Accepted    Stamp // accept returned the socket to a thread
	Arrived     Stamp // first byte of the request in the receive queue
	ReadFirst   Stamp // the read that returned the first byte returned
	ArrivedLast Stamp // last byte of the request in the receive queue
	ReadLast    Stamp // the read that returned the last byte returned
	WriteFirst  Stamp // the first write of the response was entered
	WriteLast   Stamp // the last write of the response returned
	Acked       Stamp // the peer acknowledged the last byte of the response
	Closed      Stamp // the connection ended before the response did
	Marker      Stamp // the application was called, if the server has a marker
}

// Flags say what was unusual about a request.
type Flags uint32

// The flags of the contract. Names returns their names.
const (
	Pipelined     Flags = 1 << iota // sent before the previous response was complete
	EarlyResponse                   // the response started before the request was fully read
	Continued                       // an interim 100 response was sent
	Upgraded                        // the connection became a tunnel after this request
	Streamed                        // the response paused while the send buffer had room
	HeadCut                         // the request line is longer than the agent's head limit; the rest of it is not known
	Orphan                          // a response was seen, but not the head of its request
	EndUnknown                      // the end of the response was not seen: there is no duration
)

var flagNames = [...]string{"pipelined", "early_response", "continued", "upgraded", "streamed", "head_cut", "orphan", "end_unknown"}

// Names returns the names of the set flags, in a fixed order. It allocates.
func (f Flags) Names() []string {
	var names []string
	for i, name := range flagNames {
		if f&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// The values of Request.Error for requests without a complete response. For a
// response with an error status, the status is the error.
const (
	ErrorClosed       = "connection_closed"
	ErrorReset        = "connection_reset"
	ErrorTimeout      = "timeout"
	ErrorRefused      = "refused"            // the server said that it would not take the request
	ErrorAbandoned    = "abandoned"          // request bytes arrived, but no thread read them
	ErrorNoConnection = "connection_refused" // this one and the following are for calls only
	ErrorBacklogFull  = "backlog_full"       // the backlog of a unix socket is full, and the caller does not wait
	ErrorNoSocket     = "no_such_socket"     // there is nothing at the path of the unix socket
	ErrorUnreachable  = "unreachable"        // there is no route to the address
)

// Boundary says what separated parse from app.
type Boundary uint8

// BoundarySyscall is the last read of the request, BoundaryMarker the call of the
// application.
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

// Detail is what one protocol knows about a request beyond what all protocols
// share. Protocol packages implement it. Exporters that need a detail use a type
// assertion.
type Detail interface {
	// Clone returns a copy that stays valid after the record's buffer is reused.
	Clone() Detail
}

// Request is one finished request. Byte slices and Detail point into the kernel's
// record and are valid only until the consumer returns. Clone makes a copy that
// remains valid.
type Request struct {
	Stamps

	Conn uint64 // the agent's number of the connection
	Seq  uint32 // the request's number on the connection, from 1

	ClientWait time.Duration // part of parse: the receive queue was empty
	Blocked    time.Duration // part of write_back: the send buffer was full
	Produce    time.Duration // part of write_back: between writes, with room in the send buffer

	RequestBytes  uint64 // bytes on the socket, including the head
	ResponseBytes uint64

	PID         uint32 // process that read the request
	TID         uint32 // thread that read the request
	WriterTID   uint32 // thread that started the response
	AcceptorTID uint32 // thread that accepted the connection; 0 if not seen
	Comm        string // command name of the reading thread

	Local Endpoint
	Peer  Endpoint
	// Client is the client that a balancer named in its PROXY header. It is not
	// valid if there was no such header.
	Client netip.AddrPort

	Service  string // name of the server's service, see collectors/service
	Protocol string // "http/1.1", "http/1.0", …
	Method   string
	Path     []byte // without the query string
	Route    string // the configured template that matches the path, see collectors/route
	Status   int    // 0 if no response was seen
	Host     []byte
	Detail   Detail

	Error    string // error.type; empty if the request succeeded
	Flags    Flags
	Boundary Boundary

	// TraceID, SpanID and ParentSpanID identify the request's SERVER span. They are
	// zero until a consumer needs them and calls AssignIDs.
	TraceID      [16]byte
	SpanID       [8]byte
	ParentSpanID [8]byte
	TraceState   []byte
	Sampled      bool // the incoming traceparent had its sampled flag set
	ParentLocal  bool // the trace started on this host, so Sampled has no meaning

	Links Links
	Calls []*Call // the calls that the server made for this request, in order; shared by clones
	Depth int     // number of calls on this host between the trace's first request and this one
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

// Failed reports whether the request counts as an error: it has no complete
// response, or a status of 500 and above.
func (r *Request) Failed() bool { return r.Error != "" || r.Status >= 500 }

// Endpoint is one end of a connection: an address with its port, or the path of a
// unix socket.
type Endpoint struct {
	Addr netip.AddrPort // zero for unix sockets
	Unix []byte         // path or @abstract name; nil for TCP
	IsUn bool           // a unix socket, even without a name
}

// Append appends the endpoint to b in the contract's form: 127.0.0.1:8080,
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

// String returns the endpoint in the form of Append.
func (e Endpoint) String() string { return string(e.Append(nil)) }
