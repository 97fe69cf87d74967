package scgi

import (
	"bytes"

	"lapwing/collectors/protocol"
	"lapwing/collectors/protocol/gateway"
)

// Name is the name of the protocol, in the list of protocols and in requests.
const Name = "scgi"

const (
	maxDigits = 8
	first     = "CONTENT_LENGTH\x00"
)

var format = gateway.Format{
	Name:       Name,
	Prefix:     prefix,
	NewDecoder: func() gateway.Decoder { return new(gateway.Strings) },
	Suffix:     ',',
}

// New returns the pairer of a connection.
func New(o protocol.Options) protocol.Pairer { return gateway.NewSingle(&format, o) }

// prefix parses the digits and the colon after them.
func prefix(b []byte) (used int, size uint64, match protocol.Match) {
	for i, c := range b {
		switch {
		case c == ':' && i > 0:
			return i + 1, size, protocol.Yes
		case c < '0' || c > '9' || i == maxDigits || i == 1 && b[0] == '0':
			return 0, 0, protocol.No
		}
		size = size*10 + uint64(c-'0')
	}
	return 0, 0, protocol.Maybe
}

// Detect looks for a netstring that starts with CONTENT_LENGTH.
func Detect(b []byte) protocol.Match {
	used, size, match := prefix(b)
	if match != protocol.Yes {
		return match
	}
	name := b[used:min(len(b), used+len(first))]
	switch {
	case size < uint64(len(first)) || !bytes.HasPrefix([]byte(first), name):
		return protocol.No
	case len(name) < len(first):
		return protocol.Maybe
	}
	return protocol.Yes
}
