package gateway

import (
	"bytes"

	"lapwing/collectors/protocol"
)

// enough is how much of a first name tells that it is one.
const enough = 4

// MatchName tells whether b, the begin of the first variable's name of n
// bytes, can be that of a gateway protocol's: capitals, digits and
// underscores. Other names may come later, but not first.
func MatchName(b []byte, n int) protocol.Match {
	for i, c := range b {
		letter := 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || c != '_' && (c < '0' || c > '9')) {
			return protocol.No
		}
	}
	if len(b) < min(n, enough) {
		return protocol.Maybe
	}
	return protocol.Yes
}

// MatchString is MatchName for names that end in a zero byte, in variables of
// size bytes of which b are the first.
func MatchString(b []byte, size int) protocol.Match {
	b = b[:min(len(b), size, maxName)]
	if end := bytes.IndexByte(b, 0); end >= 0 {
		if end < enough {
			return protocol.No
		}
		return MatchName(b[:end], end)
	}
	return MatchName(b, enough)
}
