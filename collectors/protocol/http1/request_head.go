package http1

import (
	"bytes"

	"lapwing/collectors/protocol"
)

// RequestHead is what the head of a request tells. Its byte slices are views
// into the bytes that were parsed; the struct is meant to be reused.
//
// When the head is cut, the fields of lines that are not wholly there are
// empty, with one exception: a cut request line gives as much of Path and
// Query as there is.
type RequestHead struct {
	Method    string // a well-known method or protocol.MethodOther; empty when not seen
	RawMethod []byte // the method as it was sent; of one that is longer than protocol.MaxMethodLen a byte more than that

	Path        []byte // without query; "*" in asterisk form, empty for CONNECT
	Query       []byte // without the question mark
	Host        []byte // authority of the target, else the Host field
	TraceParent []byte
	TraceState  []byte
	UserAgent   []byte

	Minor         int   // minor version, 0 or 1
	ContentLength int64 // bytes; -1: absent or not usable
	Chunked       bool
	BadLength     bool // the fields about the body's length contradict each other
	KeepAlive     bool // by version, until a Connection field is seen
	Upgrade       bool // an Upgrade field was sent
	Expect100     bool // the client waits for an interim response
	LineCut       bool // the request line is cut: Minor is not known and set to 1
	Capitals      bool // and what there is of the method is in capitals, as those of HTTP are

	HeadLen int // bytes, blank line included; 0 when the end was not seen

	absolute bool // Host comes from the target and outranks the Host field
}

// ParseRequest reads the request head at the begin of b into h, whatever h
// held before. Line breaks in front of the request line are skipped.
func ParseRequest(b []byte, h *RequestHead) Verdict {
	*h = RequestHead{ContentLength: noLength, Minor: 1, LineCut: true}
	skipped := skipBreaks(b)
	verdict, n := h.requestLine(b[skipped:])
	if n == 0 {
		return verdict
	}
	f := framing{length: noLength}
	l := lines{b: b, pos: skipped + n}
	state := lineField
	for {
		var line []byte
		if line, state = l.next(); state != lineField {
			break
		}
		h.field(line, &f)
	}
	h.ContentLength, h.Chunked = f.length, f.chunked
	// A request whose last coding is not chunked has no end that can be known.
	h.BadLength = f.badLength || f.coded && !f.chunked
	h.KeepAlive = f.persistent(h.Minor)
	h.Expect100 = h.Expect100 && h.Minor > 0
	if state == lineCut {
		return Partial
	}
	h.HeadLen = l.pos
	return OK
}

// requestLine parses the first line. It returns how many bytes the line has,
// or 0 and a verdict when the line is cut or none of HTTP/1.
func (h *RequestHead) requestLine(b []byte) (Verdict, int) {
	method, whole := word(b)
	if !protocol.IsToken(method) || whole && len(method) == 0 {
		return other(b), 0
	}
	if !whole {
		h.Capitals = inCapitals(method)
		if len(method) > protocol.MaxMethodLen {
			h.method(method) // whatever follows, it is no well-known one
		}
		return Partial, 0
	}
	if isPreface(b) {
		return HTTP2, 0
	}
	rest := b[len(method):]
	nl := bytes.IndexByte(rest, '\n')
	line := rest
	if nl >= 0 {
		line = trimCR(rest[:nl])
	}
	line = bytes.TrimLeft(line, " ")
	target, _ := word(line)
	if nl < 0 {
		return h.cutLine(method, target), 0
	}
	minor, ok := lastVersion(line)
	if !ok || len(target) == 0 || len(target) == len(line) || isControl(target[0]) {
		return NotHTTP, 0
	}
	h.method(method)
	h.Minor, h.LineCut = minor, false
	h.target(target)
	return OK, len(method) + nl + 1
}

// method takes the method in.
func (h *RequestHead) method(m []byte) {
	h.Method, h.RawMethod = protocol.InternMethod(m), m[:min(len(m), protocol.MaxMethodLen+1)]
}

// inCapitals reports whether the bytes are those of a method that somebody has
// registered, or the begin of one.
func inCapitals(method []byte) bool {
	for _, c := range method {
		if c != '-' && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}

// cutLine takes in what there is of a request line whose end is missing.
func (h *RequestHead) cutLine(method, target []byte) Verdict {
	if len(target) > 0 && isControl(target[0]) {
		return NotHTTP
	}
	h.method(method)
	h.Capitals = inCapitals(method)
	h.KeepAlive = true
	h.target(target)
	return Partial
}

// lastVersion reads the version at the end of a request line. What stands
// between the target and the version is the server's to complain about.
func lastVersion(line []byte) (minor int, ok bool) {
	line = bytes.TrimRight(line, " ")
	if i := bytes.LastIndexByte(line, ' '); i >= 0 {
		line = line[i+1:]
	}
	return parseVersion(line)
}

func isControl(c byte) bool { return c <= ' ' || c == 0x7f }

// field takes one field line in.
func (h *RequestHead) field(line []byte, f *framing) {
	switch line[0] | 0x20 {
	case 'h':
		if isField(line, "host:") && !h.absolute && h.Host == nil {
			h.Host = singleLine(line, len("host:"))
		}
	case 'c':
		f.field(line)
	case 't':
		switch {
		case isField(line, "traceparent:"):
			h.traceParent(singleLine(line, len("traceparent:")))
		case isField(line, "tracestate:") && h.TraceState == nil:
			h.TraceState = singleLine(line, len("tracestate:"))
		default:
			f.field(line)
		}
	case 'u':
		switch {
		case isField(line, "user-agent:") && h.UserAgent == nil:
			h.UserAgent = singleLine(line, len("user-agent:"))
		case isField(line, "upgrade:"):
			h.Upgrade = true
		}
	case 'e':
		if isField(line, "expect:") && equalFold(value(line, len("expect:")), "100-continue") {
			h.Expect100 = true
		}
	}
}

// traceParent takes the field in. Trace Context has a receiver that gets more
// than one ignore them all.
func (h *RequestHead) traceParent(v []byte) {
	if h.TraceParent != nil {
		v = v[:0]
	}
	h.TraceParent = v
}
