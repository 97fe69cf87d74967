package gateway

import (
	"bytes"

	"lapwing/collectors/protocol"
)

// enough is how many bytes of a first name are enough to recognise it.
const enough = 4

// MatchName decides whether b can be the first variable name of a gateway protocol,
// or its start: capitals, digits and underscores. n is the length of the whole name
// in bytes. Later variables may have other names, but not the first one.
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

// MatchString is MatchName for names that end in a zero byte. b is the start of
// variables that have size bytes.
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
