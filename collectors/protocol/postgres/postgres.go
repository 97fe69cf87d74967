// Package postgres recognises calls to PostgreSQL by their first bytes.
package postgres

import (
	"bytes"
	"encoding/binary"
)

// Name is the name of the protocol in the list of protocols.
const Name = "postgres"

// Calls reports whether a call that starts with b is of the protocol. A message has
// a type and a length. The first message of a connection has only a length,
// followed by the version or a request for encryption. sent is the length of the
// whole call in bytes.
func Calls(b []byte, sent uint64) bool {
	if len(b) < 8 {
		return len(b) >= 5 && b[0] == 'S' && binary.BigEndian.Uint32(b[1:]) == 4
	}
	switch binary.BigEndian.Uint32(b[4:]) {
	case 3 << 16, 80877102, 80877103, 80877104:
		return uint64(binary.BigEndian.Uint32(b)) <= sent
	}
	length := uint64(binary.BigEndian.Uint32(b[1:]))
	return bytes.IndexByte([]byte("QPBEDSCXFHcdfp"), b[0]) >= 0 && length >= 4 && length < sent
}
