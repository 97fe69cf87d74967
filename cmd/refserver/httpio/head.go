package httpio

import (
	"bytes"
	"errors"
	"strconv"
)

// MaxHead is the longest request head in bytes. A longer one gets a response
// with status 431.
const MaxHead = 64 << 10

// Head is a parsed request head. Its byte slices refer to the bytes that it was
// parsed from.
type Head struct {
	Method        string
	Target        []byte // as the client sent it
	Path          []byte // without the query string
	Query         []byte
	Fields        []byte // the header lines as they arrived
	Host          []byte
	ContentType   []byte
	RequestID     []byte // X-Request-Id
	TraceParent   []byte
	Minor         int   // of HTTP/1.x
	ContentLength int64 // −1 if absent
	Chunked       bool
	KeepAlive     bool
	Expect        bool // 100-continue
}

// Error describes a request that cannot be served, with the status of the
// response.
type Error struct {
	Status int
	Reason string
}

func (e *Error) Error() string { return e.Reason }

// ErrIncomplete means that the bytes are the start of a head.
var ErrIncomplete = errors.New("the request head is not complete")

func bad(reason string) error { return &Error{Status: 400, Reason: reason} }

// ParseHead parses the request head at the start of b and returns its length.
// The error is ErrIncomplete or an *Error.
func ParseHead(b []byte, h *Head) (int, error) {
	n, err := parseHead(b, h)
	if errors.Is(err, ErrIncomplete) && len(b) >= MaxHead || n > MaxHead {
		return 0, &Error{Status: 431, Reason: "the request head is longer than " + strconv.Itoa(MaxHead) + " bytes"}
	}
	return n, err
}

func parseHead(b []byte, h *Head) (int, error) {
	*h = Head{ContentLength: -1}
	at := skipBlankLines(b)
	line, next, ok := cutLine(b, at)
	if !ok {
		return 0, plausible(b[at:])
	}
	if err := h.requestLine(line); err != nil {
		return 0, err
	}
	first := next
	for {
		start := next
		if line, next, ok = cutLine(b, start); !ok {
			return 0, ErrIncomplete
		}
		if len(line) == 0 {
			h.Fields = b[first:start]
			return next, h.finish()
		}
		if err := h.field(line); err != nil {
			return 0, err
		}
	}
}

// skipBlankLines returns the length of the empty lines at the start of b, which
// some clients send after a body.
func skipBlankLines(b []byte) int {
	at := 0
	for at < len(b) && (b[at] == '\r' || b[at] == '\n') {
		at++
	}
	return at
}

// cutLine returns the line at b[at:] without its end, and the start of the next
// one.
func cutLine(b []byte, at int) (line []byte, next int, ok bool) {
	end := bytes.IndexByte(b[at:], '\n')
	if end < 0 {
		return nil, 0, false
	}
	next = at + end + 1
	return bytes.TrimSuffix(b[at:next-1], []byte{'\r'}), next, true
}

// plausible rejects what can never become a request line, so that a client of
// another protocol gets its response at once.
func plausible(b []byte) error {
	for i, c := range b {
		if c == ' ' && i > 0 {
			break
		}
		if !isToken(c) {
			return bad("this is not an HTTP request")
		}
	}
	return ErrIncomplete
}

func (h *Head) requestLine(line []byte) error {
	method, rest, ok := bytes.Cut(line, []byte{' '})
	target, version, ok2 := bytes.Cut(rest, []byte{' '})
	if !ok || !ok2 || !allToken(method) {
		return bad("the request line is not METHOD TARGET VERSION")
	}
	switch {
	case string(version) == "HTTP/1.1":
		h.Minor = 1
	case string(version) == "HTTP/1.0":
	case bytes.HasPrefix(version, []byte("HTTP/")) && len(version) == len("HTTP/2.0"):
		return &Error{Status: 505, Reason: "this server speaks HTTP/1.0 and HTTP/1.1"}
	default:
		return bad("the request line does not end with an HTTP version")
	}
	h.Method = MethodName(method)
	h.KeepAlive = h.Minor == 1
	return h.target(target)
}

// MethodName returns the method as a string, without an allocation for the
// usual ones.
func MethodName(b []byte) string {
	switch string(b) {
	case "GET":
		return "GET"
	case "POST":
		return "POST"
	case "HEAD":
		return "HEAD"
	case "PUT":
		return "PUT"
	case "DELETE":
		return "DELETE"
	case "OPTIONS":
		return "OPTIONS"
	}
	return string(b)
}

func (h *Head) target(target []byte) error {
	path := target
	if after, ok := bytes.CutPrefix(path, []byte("http://")); ok {
		path = after[min(len(after), indexOrEnd(after, '/')):]
		if len(path) == 0 {
			path = []byte("/")
		}
	}
	if len(path) == 0 || path[0] != '/' && string(path) != "*" {
		return bad("the request target is neither a path nor an http URL")
	}
	for _, c := range path {
		if c <= ' ' || c == 0x7f {
			return bad("the request target holds a control character")
		}
	}
	h.Target = path
	h.Path, h.Query, _ = bytes.Cut(path, []byte{'?'})
	return nil
}

func indexOrEnd(b []byte, c byte) int {
	if i := bytes.IndexByte(b, c); i >= 0 {
		return i
	}
	return len(b)
}
