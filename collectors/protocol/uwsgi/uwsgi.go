package uwsgi

import (
	"encoding/binary"

	"lapwing/collectors/protocol"
	"lapwing/collectors/protocol/gateway"
)

// Name is the name of the protocol, in the list of protocols and in requests.
const Name = "uwsgi"

const (
	prefixLen = 4
	minVars   = 8  // no request has fewer bytes of variables
	maxFirst  = 64 // no request starts with a longer name
)

var format = gateway.Format{
	Name:       Name,
	Prefix:     prefix,
	NewDecoder: func() gateway.Decoder { return &gateway.Pairs{Length: length} },
}

// New returns the pairer of a connection.
func New(o protocol.Options) protocol.Pairer { return gateway.NewSingle(&format, o) }

func prefix(b []byte) (used int, size uint64, match protocol.Match) {
	if len(b) < prefixLen {
		return 0, 0, protocol.Maybe
	}
	return prefixLen, uint64(binary.LittleEndian.Uint16(b[1:])), protocol.Yes
}

func length(b []byte) (n uint64, used int) {
	if len(b) < 2 {
		return 0, 0
	}
	return uint64(binary.LittleEndian.Uint16(b)), 2
}

// Detect looks for a packet whose first variable has a name in capitals.
func Detect(b []byte) protocol.Match {
	if len(b) < prefixLen {
		return protocol.Maybe
	}
	size := int(binary.LittleEndian.Uint16(b[1:]))
	if b[3] != 0 || size < minVars {
		return protocol.No
	}
	name := b[prefixLen:]
	if len(name) < 2 {
		return protocol.Maybe
	}
	n := int(binary.LittleEndian.Uint16(name))
	if n == 0 || n > maxFirst || n+2 > size {
		return protocol.No
	}
	return gateway.MatchName(name[2:min(len(name), 2+n)], n)
}
