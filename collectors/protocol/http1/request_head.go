package http1

import (
	"bytes"

	"lapwing/collectors/protocol"
)

// RequestHead is the content of a request head. Its byte slices are views into the
// parsed bytes. The struct is meant to be reused.
//
// If the head is cut, the fields of incomplete lines are empty, with one exception:
// of a cut request line, Path and Query hold what is there.
type RequestHead struct {
	Method    string // a well-known method or protocol.MethodOther; empty if not seen
	RawMethod []byte // the method as sent; at most protocol.MaxMethodLen+1 bytes

	Path        []byte // without query; "*" in asterisk form, empty for CONNECT
	Query       []byte // without the question mark
	Host        []byte // authority of the target, else the Host field
	TraceParent []byte
	TraceState  []byte
	UserAgent   []byte

	Minor         int   // minor version, 0 or 1
	ContentLength int64 // bytes; -1 if absent or not usable
	Chunked       bool
	BadLength     bool // the fields about the body's length contradict each other
	KeepAlive     bool // by the version and the Connection fields seen so far
	Upgrade       bool // there was an Upgrade field
	Expect100     bool // the client waits for an interim response
	LineCut       bool // the request line is cut: Minor is not known and set to 1
	Capitals      bool // the line is cut, and its method so far is in capitals, as those of HTTP are

	HeadLen int // bytes, including the blank line; 0 if the end was not seen

	absolute bool // Host comes from the target and takes precedence over the Host field
}

// ParseRequest parses the request head at the start of b into h. It overwrites h.
// It skips line breaks before the request line.
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
	// If the last coding is not chunked, the end of the request cannot be known.
	h.BadLength = f.badLength || f.coded && !f.chunked
	h.KeepAlive = f.persistent(h.Minor)
	h.Expect100 = h.Expect100 && h.Minor > 0
	if state == lineCut {
		return Partial
	}
	h.HeadLen = l.pos
	return OK
}

// requestLine parses the first line. It returns the length of the line in bytes. If
// the line is cut or not HTTP/1, it returns a verdict and 0.
func (h *RequestHead) requestLine(b []byte) (Verdict, int) {
	method, whole := word(b)
	if !protocol.IsToken(method) || whole && len(method) == 0 {
		return other(b), 0
	}
	if !whole {
		h.Capitals = inCapitals(method)
		if len(method) > protocol.MaxMethodLen {
			h.method(method) // it is too long to be a well-known method
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

// method sets the method.
func (h *RequestHead) method(m []byte) {
	h.Method, h.RawMethod = protocol.InternMethod(m), m[:min(len(m), protocol.MaxMethodLen+1)]
}

// inCapitals reports whether the bytes are those of a registered method, or the
// start of one.
func inCapitals(method []byte) bool {
	for _, c := range method {
		if c != '-' && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}

// cutLine takes what there is of a request line whose end is missing.
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

// lastVersion parses the version at the end of a request line. Anything between the
// target and the version is left for the server to reject.
func lastVersion(line []byte) (minor int, ok bool) {
	line = bytes.TrimRight(line, " ")
	if i := bytes.LastIndexByte(line, ' '); i >= 0 {
		line = line[i+1:]
	}
	return parseVersion(line)
}

func isControl(c byte) bool { return c <= ' ' || c == 0x7f }

// field takes one field line.
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

// traceParent takes a traceparent field. By Trace Context, a receiver ignores all
// of them if there is more than one.
func (h *RequestHead) traceParent(v []byte) {
	if h.TraceParent != nil {
		v = v[:0]
	}
	h.TraceParent = v
}
