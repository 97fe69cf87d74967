package gateway

import (
	"bytes"
	"strconv"

	"lapwing/cmd/refserver/httpio"
)

// Var is one variable of a gateway request.
type Var struct{ Name, Value []byte }

// Vars returns a request as CGI variables. The target replaces the one of the
// head.
func Vars(h *httpio.Head, target []byte, bodySize int) []Var {
	path, query, _ := bytes.Cut(target, []byte{'?'})
	vars := []Var{
		{[]byte("CONTENT_LENGTH"), strconv.AppendInt(nil, int64(bodySize), 10)}, // SCGI requires it first
		{[]byte("SCGI"), []byte("1")},
		{[]byte("REQUEST_METHOD"), []byte(h.Method)},
		{[]byte("REQUEST_URI"), target},
		{[]byte("SCRIPT_NAME"), nil},
		{[]byte("PATH_INFO"), path},
		{[]byte("QUERY_STRING"), query},
		{[]byte("CONTENT_TYPE"), h.ContentType},
		{[]byte("SERVER_PROTOCOL"), []byte("HTTP/1." + strconv.Itoa(h.Minor))},
	}
	if id := h.ID(); len(id) > 0 {
		vars = append(vars, Var{[]byte("HTTP_X_REQUEST_ID"), id})
	}
	for name, value := range h.EndToEnd() {
		vars = append(vars, Var{variable(name), value})
	}
	return vars
}

// variable returns the CGI name of a header: HTTP_USER_AGENT for User-Agent.
func variable(header []byte) []byte {
	name := append([]byte("HTTP_"), bytes.ToUpper(header)...)
	return bytes.ReplaceAll(name, []byte{'-'}, []byte{'_'})
}
