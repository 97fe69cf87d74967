package httpio

import (
	"bytes"
	"iter"
	"math"
)

// field parses one header line.
func (h *Head) field(line []byte) error {
	name, value, ok := bytes.Cut(line, []byte{':'})
	if !ok || !allToken(name) {
		return bad("a header line is not NAME: VALUE")
	}
	value = bytes.Trim(value, " \t")
	// Compare lengths first: the names of most headers match none.
	switch len(name) {
	case len("Host"):
		if is(name, "Host") {
			h.Host = value
		}
	case len("Expect"):
		if is(name, "Expect") {
			return h.expect(value)
		}
	case len("Connection"):
		if is(name, "Connection") {
			h.connection(value)
		}
	case len("Traceparent"):
		if is(name, "Traceparent") {
			h.TraceParent = value
		}
	case len("X-Request-Id"): // Content-Type has the same length
		if is(name, "X-Request-Id") {
			h.RequestID = value
		} else if is(name, "Content-Type") {
			h.ContentType = value
		}
	case len("Content-Length"):
		if is(name, "Content-Length") {
			return h.contentLength(value)
		}
	case len("Transfer-Encoding"):
		if is(name, "Transfer-Encoding") {
			return h.transferEncoding(value)
		}
	}
	return nil
}

// finish checks what depends on the whole head.
func (h *Head) finish() error {
	if h.Chunked && h.ContentLength >= 0 {
		return bad("the request has both Content-Length and Transfer-Encoding")
	}
	if h.Minor == 1 && h.Host == nil {
		return bad("an HTTP/1.1 request needs a Host header")
	}
	return nil
}

func (h *Head) expect(value []byte) error {
	if !is(value, "100-continue") {
		return &Error{Status: 417, Reason: "the only expectation this server meets is 100-continue"}
	}
	h.Expect = h.Minor == 1
	return nil
}

func (h *Head) connection(value []byte) {
	for option := range bytes.SplitSeq(value, []byte{','}) {
		switch option = bytes.Trim(option, " \t"); {
		case is(option, "close"):
			h.KeepAlive = false
		case is(option, "keep-alive") && h.Minor == 0:
			h.KeepAlive = true
		}
	}
}

func (h *Head) contentLength(value []byte) error {
	n, ok := ParseDigits(value)
	if !ok || h.ContentLength >= 0 && h.ContentLength != n {
		return bad("Content-Length is not one decimal number")
	}
	h.ContentLength = n
	return nil
}

func (h *Head) transferEncoding(value []byte) error {
	if h.Chunked || !is(value, "chunked") {
		return &Error{Status: 501, Reason: "the only transfer encoding this server knows is chunked"}
	}
	h.Chunked = true
	return nil
}

// HasBody reports whether body bytes follow the head.
func (h *Head) HasBody() bool { return h.Chunked || h.ContentLength > 0 }

// ID returns the id of the request that the client set: the header
// X-Request-Id, the query parameter id (as written, not unescaped), or the
// trace id of traceparent. It is empty if there is none.
func (h *Head) ID() []byte {
	if len(h.RequestID) > 0 {
		return h.RequestID
	}
	if len(h.Query) > 0 {
		for pair := range bytes.SplitSeq(h.Query, []byte{'&'}) {
			if id, ok := bytes.CutPrefix(pair, []byte("id=")); ok {
				return id
			}
		}
	}
	const traceEnd = 3 + 32 // version, dash, trace id
	if len(h.TraceParent) > traceEnd {
		return h.TraceParent[3:traceEnd]
	}
	return nil
}

// is compares without regard to ASCII case.
func is(b []byte, s string) bool {
	return len(b) == len(s) && bytes.EqualFold(b, []byte(s))
}

// ParseDigits parses a decimal number. It returns false for anything else, and
// for a number that does not fit.
func ParseDigits(b []byte) (int64, bool) {
	if len(b) == 0 {
		return 0, false
	}
	var n int64
	for _, c := range b {
		if c < '0' || c > '9' || n > (math.MaxInt64-9)/10 {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

func allToken(b []byte) bool {
	for _, c := range b {
		if !isToken(c) {
			return false
		}
	}
	return len(b) > 0
}

// isToken reports whether c is allowed in a method or a header name.
func isToken(c byte) bool {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		return true
	}
	return c != 0 && bytes.IndexByte([]byte("!#$%&'*+-.^_`|~"), c) >= 0
}

// EndToEnd yields the header lines that a front end passes on. It leaves out
// those that only concern one connection, those that describe the body, and
// those that Head.ID covers.
func (h *Head) EndToEnd() iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		for line := range bytes.Lines(h.Fields) {
			name, value, _ := bytes.Cut(line, []byte{':'})
			if hopByHop[string(bytes.ToLower(name))] {
				continue
			}
			if !yield(name, bytes.TrimSpace(value)) {
				return
			}
		}
	}
}

var hopByHop = map[string]bool{
	"connection": true, "keep-alive": true, "te": true, "trailer": true, "upgrade": true,
	"transfer-encoding": true, "content-length": true, "content-type": true,
	"expect": true, "x-request-id": true,
}
