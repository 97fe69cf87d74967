package http1

import "bytes"

// ResponseHead is what the head of a response tells. When the head is cut, it
// holds what the lines that are wholly there say.
type ResponseHead struct {
	Status        int   // 0 when the status line is cut before it
	Minor         int   // minor version, 0 or 1
	ContentLength int64 // bytes; -1: absent or not usable
	Chunked       bool
	OtherCoding   bool // a transfer coding other than chunked: ends with the connection
	BadLength     bool // several lengths that differ, or no number
	KeepAlive     bool // by version, until a Connection field is seen

	HeadLen int // bytes, blank line included; 0 when the end was not seen
}

// statusEnd is the length of a status line up to its status: "HTTP/1.1 200".
const statusEnd = versionLen + len(" 200")

// ParseResponse reads the response head at the begin of b into h, whatever h
// held before.
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

// statusLine parses the first line. It returns how many bytes the line has, or
// 0 and a verdict when the line is cut or none of HTTP/1.
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

// parseStatus reads the up to three digits that are there.
func parseStatus(digits []byte) (status int, ok bool) {
	for i, c := range digits {
		if c < '0' || c > '9' || i == 0 && c == '0' {
			return 0, false
		}
		status = status*10 + int(c-'0')
	}
	return status, true
}
