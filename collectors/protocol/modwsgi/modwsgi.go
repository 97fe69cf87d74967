package modwsgi

import (
	"encoding/binary"

	"lapwing/collectors/protocol"
	"lapwing/collectors/protocol/gateway"
)

// Name is the name of the protocol, in the list of protocols and in requests.
const Name = "mod_wsgi"

const (
	prefixLen  = 16
	countLen   = 8
	maxVars    = 1 << 20
	minPerPair = 3 // a name of one byte, an empty value, two zero bytes
)

var format = gateway.Format{
	Name:       Name,
	Prefix:     prefix,
	NewDecoder: func() gateway.Decoder { return new(gateway.Strings) },
	Chunked:    true,
	Continue:   "200 Continue",
}

// New returns the pairer of a connection.
func New(o protocol.Options) protocol.Pairer { return gateway.NewSingle(&format, o) }

// prefix parses both numbers. The length includes the second number.
func prefix(b []byte) (used int, size uint64, match protocol.Match) {
	if len(b) < countLen {
		return 0, 0, protocol.Maybe
	}
	size = binary.NativeEndian.Uint64(b)
	if size < countLen+minPerPair || size > maxVars {
		return 0, 0, protocol.No
	}
	if len(b) < prefixLen {
		return 0, 0, protocol.Maybe
	}
	count := binary.NativeEndian.Uint64(b[countLen:])
	size -= countLen
	if count < 2 || count%2 != 0 || count/2*minPerPair > size {
		return 0, 0, protocol.No
	}
	return prefixLen, size, protocol.Yes
}

// Detect looks for two plausible numbers, followed by a name in capitals.
func Detect(b []byte) protocol.Match {
	used, size, match := prefix(b)
	if match != protocol.Yes {
		return match
	}
	return gateway.MatchString(b[used:], int(size))
}
