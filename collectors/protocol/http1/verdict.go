package http1

import "bytes"

// Verdict says what the bytes at the start of a message are.
type Verdict uint8

// The verdicts. Those after Partial say why no message is reported. Their names are
// the reasons under which connections are counted.
const (
	OK      Verdict = iota // a complete head
	Partial                // a head that is cut; the facts seen so far are valid
	NotHTTP                // no HTTP/1 message starts here
	TLS                    // a TLS handshake record
	HTTP2                  // the preface of an HTTP/2 connection
)

var verdictNames = [...]string{"ok", "partial", "not_http", "tls", "http2"}

func (v Verdict) String() string { return verdictNames[v] }

// IsHead reports whether a head starts here, complete or cut.
func (v Verdict) IsHead() bool { return v <= Partial }

const (
	versionPrefix = "HTTP/1."
	versionLen    = len(versionPrefix) + 1
	http2Preface  = "PRI * HTTP/2.0"
)

// parseVersion parses the eight bytes of an HTTP/1 version. A minor version above 1
// is returned as 1, the highest that exists.
func parseVersion(b []byte) (minor int, ok bool) {
	if len(b) != versionLen || string(b[:len(versionPrefix)]) != versionPrefix {
		return 0, false
	}
	switch c := b[versionLen-1]; {
	case c == '0':
		return 0, true
	case '1' <= c && c <= '9':
		return 1, true
	}
	return 0, false
}

// isTLS reports whether b starts with a TLS handshake record.
func isTLS(b []byte) bool { return len(b) > 1 && b[0] == 0x16 && b[1] == 0x03 }

// other returns the verdict on bytes that are not a head. A single byte of a TLS
// record gives Partial, because the next byte decides.
func other(b []byte) Verdict {
	switch {
	case isTLS(b):
		return TLS
	case len(b) == 1 && b[0] == 0x16:
		return Partial
	}
	return NotHTTP
}

// isPreface reports whether b starts with an HTTP/2 preface.
func isPreface(b []byte) bool {
	return len(b) >= len(http2Preface) && string(b[:len(http2Preface)]) == http2Preface
}

// skipBreaks returns the number of line breaks (CR and LF bytes) at the start of b.
// Some clients send a line break after a request body. Servers skip it before a
// request.
func skipBreaks(b []byte) int {
	for i, c := range b {
		if c != '\r' && c != '\n' {
			return i
		}
	}
	return len(b)
}

// word returns the bytes up to the first space, and whether there was one.
func word(b []byte) ([]byte, bool) {
	if i := bytes.IndexByte(b, ' '); i >= 0 {
		return b[:i], true
	}
	return b, false
}
