package http1

import "bytes"

// lineState says what a header section holds at the reader's place.
type lineState uint8

const (
	lineField lineState = iota // a whole field line
	lineBlank                  // the blank line that ends the head
	lineCut                    // the bytes end before the line is known to
)

// lines walks the field lines of a header section. Lines end in CRLF or in a
// bare LF; a line folded over several (obs-fold) comes as one, with the line
// breaks still in it.
type lines struct {
	b   []byte
	pos int // of the next line
}

// next returns the line at the reader's place, without its line break.
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
	// Whether a line is folded shows only in the byte after it. Until that byte
	// is here the line is not used, so that more bytes never change a fact.
	if nl+1 == len(rest) {
		return nil, lineCut
	}
	if c := rest[nl+1]; c == ' ' || c == '\t' {
		return l.folded(nl)
	}
	l.pos += nl + 1
	return line, lineField
}

// folded returns the line that goes on after the line break at nl.
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

// isField reports whether line is the field of that name. The name is given in
// lower case with its colon. White space before the colon is not allowed: such
// a field is another one to some receivers, and none to most.
func isField(line []byte, name string) bool {
	last := len(name) - 1
	return len(line) > last && line[last] == ':' && equalFold(line[:last], name[:last])
}

// equalFold reports whether b is s, which is in lower case, but for the case
// of ASCII letters.
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

// value is the value of a field whose name, colon included, has n bytes.
func value(line []byte, n int) []byte { return trimSpace(line[n:]) }

// singleLine is value for what is shown as it came: it ends where the value is
// folded, because a line break must not travel on.
func singleLine(line []byte, n int) []byte {
	v := value(line, n)
	if i := bytes.IndexByte(v, '\n'); i >= 0 {
		return trimSpace(v[:i])
	}
	return v
}

// trimSpace cuts white space, line breaks of folded values included.
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
