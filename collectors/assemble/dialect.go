package assemble

import (
	"bytes"
	"encoding/binary"
)

// The protocols of stores that are told by the first bytes of a call. A call of
// another one is timed all the same.
const (
	dialectPostgres = "postgres"
	dialectMySQL    = "mysql"
	dialectRedis    = "redis"
)

// dialect names the protocol that a call begins with, or returns "". sent is
// how many bytes the whole call has, of which data are the first.
func dialect(data []byte, sent uint64) string {
	switch {
	case isPostgres(data, sent):
		return dialectPostgres
	case isMySQL(data, sent):
		return dialectMySQL
	case isRedis(data):
		return dialectRedis
	}
	return ""
}

// isPostgres: a message has a type and its length; the first of a connection
// has only a length, then the version or the wish for encryption.
func isPostgres(data []byte, sent uint64) bool {
	if len(data) < 8 {
		return len(data) >= 5 && data[0] == 'S' && binary.BigEndian.Uint32(data[1:]) == 4
	}
	switch binary.BigEndian.Uint32(data[4:]) {
	case 3 << 16, 80877102, 80877103, 80877104:
		return uint64(binary.BigEndian.Uint32(data)) <= sent
	}
	length := uint64(binary.BigEndian.Uint32(data[1:]))
	return bytes.IndexByte([]byte("QPBEDSCXFHcdfp"), data[0]) >= 0 && length >= 4 && length < sent
}

// isMySQL: three bytes of length, the number 0, a command.
func isMySQL(data []byte, sent uint64) bool {
	if len(data) < 5 || data[3] != 0 || data[4] == 0 || data[4] > 0x1c {
		return false
	}
	length := uint64(data[0]) | uint64(data[1])<<8 | uint64(data[2])<<16
	return length > 0 && length+4 == sent
}

// isRedis: an array of bulk strings.
func isRedis(data []byte) bool {
	line, rest, ok := bytes.Cut(data, []byte("\r\n"))
	return ok && len(line) > 1 && line[0] == '*' && digits(line[1:]) && len(rest) > 0 && rest[0] == '$'
}

func digits(text []byte) bool {
	for _, b := range text {
		if b < '0' || b > '9' {
			return false
		}
	}
	return true
}
