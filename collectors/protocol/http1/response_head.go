package http1

import "bytes"

// ResponseHead is the content of a response head. If the head is cut, it holds the
// facts of the complete lines.
type ResponseHead struct {
	Status        int   // 0 if the status line is cut before it
	Minor         int   // minor version, 0 or 1
	ContentLength int64 // bytes; -1 if absent or not usable
	Chunked       bool
	OtherCoding   bool // a transfer coding other than chunked: the body ends with the connection
	BadLength     bool // there are several lengths that differ, or one is not a number
	KeepAlive     bool // by the version and the Connection fields seen so far

	HeadLen int // bytes, including the blank line; 0 if the end was not seen
}

// statusEnd is the length of a status line including its status: "HTTP/1.1 200".
const statusEnd = versionLen + len(" 200")

// ParseResponse parses the response head at the start of b into h. It overwrites h.
func ParseResponse(b []byte, h *ResponseHead) Verdict {
	*h = ResponseHead{ContentLength: noLength}
	verdict, n := h.statusLine(b)
	if n == 0 {
		return verdict
	}
	f := framing{length: noLength}
	l := lines{b: b, pos: n}
	state := lineField
	for {
		var line []byte
		if line, state = l.next(); state != lineField {
			break
		}
		f.field(line)
	}
	h.ContentLength, h.Chunked, h.BadLength = f.length, f.chunked, f.badLength
	h.OtherCoding = f.coded && !f.chunked
	h.KeepAlive = f.persistent(h.Minor)
	if state == lineCut {
		return Partial
	}
	h.HeadLen = l.pos
	return OK
}

// statusLine parses the first line. It returns the length of the line in bytes. If
// the line is cut or not HTTP/1, it returns a verdict and 0.
func (h *ResponseHead) statusLine(b []byte) (Verdict, int) {
	const prefix = versionPrefix
	if n := min(len(b), len(prefix)); string(b[:n]) != prefix[:n] {
		return other(b), 0
	}
	if len(b) >= versionLen {
		minor, ok := parseVersion(b[:versionLen])
		if !ok || len(b) > versionLen && b[versionLen] != ' ' {
			return NotHTTP, 0
		}
		h.Minor, h.KeepAlive = minor, minor > 0
	}
	digits := b[min(len(b), versionLen+1):min(len(b), statusEnd)]
	status, ok := parseStatus(digits)
	if !ok || len(b) > statusEnd && !isSpace(b[statusEnd]) {
		return NotHTTP, 0
	}
	if len(b) < statusEnd {
		return Partial, 0
	}
	h.Status = status
	nl := bytes.IndexByte(b[statusEnd:], '\n')
	if nl < 0 {
		return Partial, 0
	}
	return OK, statusEnd + nl + 1
}

// parseStatus parses the digits that are there, at most three.
func parseStatus(digits []byte) (status int, ok bool) {
	for i, c := range digits {
		if c < '0' || c > '9' || i == 0 && c == '0' {
			return 0, false
		}
		status = status*10 + int(c-'0')
	}
	return status, true
}
