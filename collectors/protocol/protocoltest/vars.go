package protocoltest

import (
	"encoding/binary"
	"strconv"
	"strings"
)

// Vars are the variables of a request: names and values alternate.
type Vars []string

// Get returns the variables that a front end sends for a GET request.
func Get(uri string) Vars {
	path, query, _ := strings.Cut(uri, "?")
	return Vars{"QUERY_STRING", query, "REQUEST_METHOD", "GET", "CONTENT_TYPE", "", "CONTENT_LENGTH", "",
		"REQUEST_URI", uri, "PATH_INFO", path, "SERVER_PROTOCOL", "HTTP/1.1", "SERVER_NAME", "shop.test",
		"HTTP_HOST", "shop.test:8080", "HTTP_USER_AGENT", "curl/7.88.1"}
}

// Post returns the variables of a POST request with a body of n bytes.
func Post(uri string, n int) Vars {
	v := Get(uri)
	v[3], v[7] = "POST", strconv.Itoa(n)
	return v
}

// With returns the variables with another one added.
func (v Vars) With(name, value string) Vars { return append(v[:len(v):len(v)], name, value) }

// Strings returns the variables with a zero byte after each name and value.
func (v Vars) Strings() string { return strings.Join(v, "\x00") + "\x00" }

// UWSGI returns the packet of the uwsgi protocol.
func (v Vars) UWSGI() string {
	var b []byte
	for _, s := range v {
		b = append(binary.LittleEndian.AppendUint16(b, uint16(len(s))), s...)
	}
	return string(append(binary.LittleEndian.AppendUint16([]byte{0}, uint16(len(b))), 0)) + string(b)
}

// SCGI returns the netstring of SCGI.
func (v Vars) SCGI() string {
	length := "0"
	rest := make(Vars, 0, len(v))
	for i := 0; i < len(v); i += 2 {
		if v[i] != "CONTENT_LENGTH" {
			rest = append(rest, v[i], v[i+1])
		} else if v[i+1] != "" {
			length = v[i+1]
		}
	}
	body := append(Vars{"CONTENT_LENGTH", length, "SCGI", "1"}, rest...).Strings()
	return strconv.Itoa(len(body)) + ":" + body + ","
}

// ModWSGI returns the numbers of mod_wsgi and the variables after them.
func (v Vars) ModWSGI() string {
	body := v.Strings()
	b := binary.NativeEndian.AppendUint64(nil, uint64(len(body)+8))
	return string(binary.NativeEndian.AppendUint64(b, uint64(len(v)))) + body
}

// Passenger returns the length of the variables, as Passenger sends it, and the
// variables.
func (v Vars) Passenger() string {
	body := v.Strings()
	return string(binary.BigEndian.AppendUint32(nil, uint32(len(body)))) + body
}

// FastCGI returns a whole request with that number: BEGIN, PARAMS and STDIN
// records.
func (v Vars) FastCGI(id uint16, keep bool, body string) string {
	flags := "\x00"
	if keep {
		flags = "\x01"
	}
	s := Record(1, id, "\x00\x01"+flags+"\x00\x00\x00\x00\x00") + Record(4, id, v.Params()) + Record(4, id, "")
	if body != "" {
		s += Record(5, id, body)
	}
	return s + Record(5, id, "")
}

// Params returns the names and values as FastCGI encodes them.
func (v Vars) Params() string {
	var b []byte
	for i := 0; i < len(v); i += 2 {
		b = append(fcgiLength(fcgiLength(b, len(v[i])), len(v[i+1])), v[i]+v[i+1]...)
	}
	return string(b)
}

func fcgiLength(b []byte, n int) []byte {
	if n < 0x80 {
		return append(b, byte(n))
	}
	return binary.BigEndian.AppendUint32(b, uint32(n)|1<<31)
}

// Record returns one FastCGI record, padded to a multiple of eight bytes.
func Record(kind byte, id uint16, content string) string {
	padding := -len(content) & 7
	b := binary.BigEndian.AppendUint16([]byte{1, kind}, id)
	b = append(binary.BigEndian.AppendUint16(b, uint16(len(content))), byte(padding), 0)
	return string(b) + content + strings.Repeat("\x00", padding)
}

// End returns the FastCGI record that ends a request with that status.
func End(id uint16, status byte) string {
	return Record(3, id, "\x00\x00\x00\x00"+string([]byte{status, 0, 0, 0}))
}
