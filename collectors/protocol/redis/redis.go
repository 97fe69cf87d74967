// Package redis recognises calls to Redis, and to servers with the same protocol,
// by their first bytes.
package redis

import "bytes"

// Name is the name of the protocol in the list of protocols.
const Name = "redis"

// Calls reports whether a call that starts with b is of the protocol: an array of
// bulk strings.
func Calls(b []byte, _ uint64) bool {
	line, rest, ok := bytes.Cut(b, []byte("\r\n"))
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
