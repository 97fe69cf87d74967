// Package mysql recognises calls to MySQL and MariaDB by their first bytes.
package mysql

// Name is the name of the protocol in the list of protocols.
const Name = "mysql"

// Calls reports whether a call that starts with b is of the protocol: three bytes
// of length, the number 0, a command. sent is the length of the whole call in
// bytes.
func Calls(b []byte, sent uint64) bool {
	if len(b) < 5 || b[3] != 0 || b[4] == 0 || b[4] > 0x1c {
		return false
	}
	length := uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16
	return length > 0 && length+4 == sent
}
