package http1

import "bytes"

// lineState says what a header section has at the current position.
type lineState uint8

const (
	lineField lineState = iota // a whole field line
	lineBlank                  // the blank line that ends the head
	lineCut                    // the bytes end before the end of the line is known
)

// lines iterates over the field lines of a header section. Lines end in CRLF or in
// a bare LF. A line that is folded (obs-fold) is returned as one line that contains
// its line breaks.
type lines struct {
	b   []byte
	pos int // offset of the next line
}

// next returns the line at the current position, without its line break.
func (l *lines) next() ([]byte, lineState) {
	rest := l.b[l.pos:]
	nl := bytes.IndexByte(rest, '\n')
	if nl < 0 {
		return nil, lineCut
	}
	line := trimCR(rest[:nl])
	if len(line) == 0 {
		l.pos += nl + 1
		return nil, lineBlank
	}
	// Only the byte after a line shows whether the line is folded. The line is not
	// used before this byte has come, so that more bytes never change a fact.
	if nl+1 == len(rest) {
		return nil, lineCut
	}
	if c := rest[nl+1]; c == ' ' || c == '\t' {
		return l.folded(nl)
	}
	l.pos += nl + 1
	return line, lineField
}

// folded returns the line that continues after the line break at nl.
func (l *lines) folded(nl int) ([]byte, lineState) {
	rest := l.b[l.pos:]
	for {
		more := bytes.IndexByte(rest[nl+1:], '\n')
		if more < 0 {
			return nil, lineCut
		}
		nl += 1 + more
		if nl+1 == len(rest) {
			return nil, lineCut
		}
		if c := rest[nl+1]; c != ' ' && c != '\t' {
			l.pos += nl + 1
			return trimCR(rest[:nl]), lineField
		}
	}
}

func trimCR(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\r' {
		return line[:n-1]
	}
	return line
}

// isField reports whether line is the field with that name. The name is given in
// lower case with its colon. White space before the colon is not allowed: some
// receivers take such a field for another one, and most ignore it.
func isField(line []byte, name string) bool {
	last := len(name) - 1
	return len(line) > last && line[last] == ':' && equalFold(line[:last], name[:last])
}

// equalFold reports whether b equals s, ignoring the case of ASCII letters. s must
// be in lower case.
func equalFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i := range len(s) {
		if c := b[i]; c != s[i] && (c|0x20 != s[i] || s[i] < 'a') {
			return false
		}
	}
	return true
}

// value returns the value of a field whose name, including the colon, has n bytes.
func value(line []byte, n int) []byte { return trimSpace(line[n:]) }

// singleLine is like value, but for values that are shown as they came. It ends at
// the first fold, because output must not contain a line break.
func singleLine(line []byte, n int) []byte {
	v := value(line, n)
	if i := bytes.IndexByte(v, '\n'); i >= 0 {
		return trimSpace(v[:i])
	}
	return v
}

// trimSpace removes white space at both ends, including the line breaks of folded
// values.
func trimSpace(v []byte) []byte {
	for len(v) > 0 && isSpace(v[0]) {
		v = v[1:]
	}
	for len(v) > 0 && isSpace(v[len(v)-1]) {
		v = v[:len(v)-1]
	}
	return v
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// cutElement splits the first element off a comma-separated list.
func cutElement(list []byte) (element, rest []byte) {
	if i := bytes.IndexByte(list, ','); i >= 0 {
		return trimSpace(list[:i]), list[i+1:]
	}
	return trimSpace(list), nil
}
