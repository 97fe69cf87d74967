package passenger

import (
	"encoding/binary"

	"lapwing/collectors/protocol"
	"lapwing/collectors/protocol/gateway"
)

// Name is the name of the protocol, in the list of protocols and in requests.
const Name = "passenger"

const (
	prefixLen = 4
	minVars   = 8
	maxVars   = 1 << 20
)

var format = gateway.Format{
	Name:       Name,
	Prefix:     prefix,
	NewDecoder: func() gateway.Decoder { return new(gateway.Strings) },
	Reuse:      true,
}

// New returns the pairer of a connection.
func New(o protocol.Options) protocol.Pairer { return gateway.NewSingle(&format, o) }

func prefix(b []byte) (used int, size uint64, match protocol.Match) {
	if len(b) < prefixLen {
		return 0, 0, protocol.Maybe
	}
	size = uint64(binary.BigEndian.Uint32(b))
	if size < minVars || size > maxVars {
		return 0, 0, protocol.No
	}
	return prefixLen, size, protocol.Yes
}

// Detect looks for a plausible length, followed by a name in capitals.
func Detect(b []byte) protocol.Match {
	used, size, match := prefix(b)
	if match != protocol.Yes {
		return match
	}
	return gateway.MatchString(b[used:], int(size))
}
