package gateway

import (
	"bytes"
	"net/http"
	"strconv"

	"lapwing/collectors/protocol"
)

// maxHead limits the head of a response, in bytes.
const maxHead = 8 << 10

// unknownLength is the length of a body if the head does not contain it.
const unknownLength = -1

// Head is the head of a response. It consists of fields, one of which may be the
// status, or is a plain head of HTTP/1.
type Head struct {
	Status int  // 0 while not known
	Done   bool // the head was parsed, or given up
	Cut    bool // a part of it was not at hand
	Size   int  // bytes, including the blank line

	// Interim says that this is not the head of the final response.
	Interim bool
	// Continue is a status with its text that is an interim response in this
	// protocol, in addition to those of HTTP.
	Continue string

	length int64
	buf    []byte
}

// Reset clears the head. It keeps the memory.
func (h *Head) Reset() { *h = Head{buf: h.buf[:0], Continue: h.Continue} }

// Take takes the head, or a piece of it, off s. What remains in s is the body.
func (h *Head) Take(s *protocol.Stretch) {
	had := len(h.buf)
	data := s.Data[:min(len(s.Data), maxHead-had)]
	if had > 0 {
		h.buf = append(h.buf, data...)
		data = h.buf
	}
	switch end := headEnd(data, max(0, had-2)); {
	case end > 0:
		s.Skip(uint64(end - had))
		h.parse(data[:end])
		h.Size = end
	case s.Missing() > 0 || len(data) >= maxHead:
		s.Skip(s.N)
		h.parse(data)
		h.Cut = true
	default:
		if had == 0 {
			h.buf = append(h.buf, data...)
		}
		s.Skip(s.N)
	}
}

// GiveUp parses what is there of a head that does not end.
func (h *Head) GiveUp() {
	if !h.Done && len(h.buf) > 0 {
		h.parse(h.buf)
		h.Cut = true
	}
}

// headEnd returns the end of a head: the offset after the blank line, or 0 if there
// is none. The line breaks may lack their carriage returns. The search starts at
// from.
func headEnd(b []byte, from int) int {
	for i := from; i < len(b); i++ {
		nl := bytes.IndexByte(b[i:], '\n')
		if nl < 0 {
			return 0
		}
		i += nl
		switch rest := b[i+1:]; {
		case len(rest) > 0 && rest[0] == '\n':
			return i + 2
		case len(rest) > 1 && rest[0] == '\r' && rest[1] == '\n':
			return i + 3
		}
	}
	return 0
}

// parse parses the lines of a head. The last line may be cut.
func (h *Head) parse(b []byte) {
	h.Done, h.length = true, unknownLength
	whole := headEnd(b, 0) > 0
	redirect, ok := false, false
	for first := true; len(b) > 0; first = false {
		line, rest, ended := bytes.Cut(b, []byte{'\n'})
		line = bytes.TrimSuffix(line, []byte{'\r'})
		if b = rest; len(line) == 0 || !ended {
			break
		}
		if first && h.statusLine(line) {
			ok = true
			continue
		}
		name, value, isField := bytes.Cut(line, []byte{':'})
		if first {
			ok = isField && protocol.IsToken(name)
		}
		redirect = h.field(name, bytes.TrimSpace(value)) || redirect
	}
	switch {
	case h.Status != 0 || !ok || !whole:
	case redirect:
		h.Status = http.StatusFound
	default:
		h.Status = http.StatusOK
	}
}

// statusLine takes a line like "HTTP/1.1 200 OK".
func (h *Head) statusLine(line []byte) bool {
	if !bytes.HasPrefix(line, []byte("HTTP/1.")) {
		return false
	}
	_, status, _ := bytes.Cut(line, []byte{' '})
	h.setStatus(status)
	return true
}

// field takes one field. It reports whether the field makes a response without a
// status a redirection.
func (h *Head) field(name, value []byte) (redirect bool) {
	switch {
	case bytes.EqualFold(name, []byte("status")):
		if h.Status == 0 {
			h.setStatus(value)
		}
	case bytes.EqualFold(name, []byte("content-length")):
		if n, err := strconv.ParseUint(string(value), 10, 62); err == nil {
			h.length = int64(n)
		}
	case bytes.EqualFold(name, []byte("transfer-encoding")):
		h.length = unknownLength
	case bytes.EqualFold(name, []byte("location")):
		return true
	}
	return false
}

func (h *Head) setStatus(b []byte) {
	if len(b) < 3 || len(b) > 3 && b[3] != ' ' {
		return
	}
	n, err := strconv.Atoi(string(b[:3]))
	if err == nil && n >= 100 && n <= 999 && b[0] != '+' && b[0] != '-' {
		h.Status = n
		h.Interim = n/100 == 1 && n != http.StatusSwitchingProtocols || len(h.Continue) > 0 && string(b) == h.Continue
	}
}

// bodyLength returns the length of the body according to the head. known is false
// if only the end of the stream shows it.
func (h *Head) bodyLength(method string) (n uint64, known bool) {
	switch {
	case method == http.MethodHead || h.Status == http.StatusNoContent || h.Status == http.StatusNotModified:
		return 0, true
	case h.length == unknownLength || h.Cut:
		return 0, false
	}
	return uint64(h.length), true
}
