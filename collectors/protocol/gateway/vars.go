package gateway

import (
	"bytes"
	"strconv"

	"lapwing/collectors/protocol"
)

// fact identifies a variable whose value is kept.
type fact int

const (
	method fact = iota
	requestURI
	scriptName
	pathInfo
	queryString
	contentLength
	transferEncoding
	host
	serverName
	userAgent
	traceParent
	traceState
	numFacts
	noFact = numFacts
)

// factOf returns the fact that a variable holds.
func factOf(name []byte) fact {
	switch string(name) { // the compiler does not allocate here
	case "REQUEST_METHOD":
		return method
	case "REQUEST_URI":
		return requestURI
	case "SCRIPT_NAME":
		return scriptName
	case "PATH_INFO":
		return pathInfo
	case "QUERY_STRING":
		return queryString
	case "CONTENT_LENGTH":
		return contentLength
	case "HTTP_TRANSFER_ENCODING":
		return transferEncoding
	case "HTTP_HOST":
		return host
	case "SERVER_NAME":
		return serverName
	case "HTTP_USER_AGENT":
		return userAgent
	case "HTTP_TRACEPARENT":
		return traceParent
	case "HTTP_TRACESTATE":
		return traceState
	}
	return noFact
}

const (
	maxName  = 64      // bytes of a variable's name that are compared
	maxValue = 2 << 10 // bytes that are kept of one value
	maxKept  = 8 << 10 // bytes that are kept of all values
)

// Vars holds what is kept of the variables of a request.
type Vars struct {
	// Cut says that a part of the variables was not at hand or too long.
	Cut bool

	kept []byte // all values, one after the other
	at   [numFacts]span
	cur  fact // the fact whose value is coming
	name [maxName]byte
	size int // bytes of the name so far
}

// span is a part of the kept bytes. The first kept byte is not used, so from is 0
// only if the value is not set.
type span struct{ from, to int }

// Reset removes all variables. It keeps the memory.
func (v *Vars) Reset() { *v = Vars{kept: v.kept[:0], cur: noFact} }

// addName takes the next bytes of a name. The names of all facts are shorter than
// the limit.
func (v *Vars) addName(b []byte) { v.size += copy(v.name[v.size:], b) }

// missName notes that bytes of the name are not at hand.
func (v *Vars) missName() { v.size, v.Cut = maxName, true }

// beginValue is called when the name is complete.
func (v *Vars) beginValue() {
	v.cur = factOf(v.name[:v.size])
	v.size = 0
	if v.cur == noFact {
		return
	}
	if len(v.kept) == 0 {
		v.kept = append(v.kept, 0)
	}
	v.at[v.cur] = span{len(v.kept), len(v.kept)}
}

// addValue takes the next bytes of the value.
func (v *Vars) addValue(b []byte) {
	if v.cur == noFact {
		return
	}
	s := &v.at[v.cur]
	if room := min(maxValue-(s.to-s.from), maxKept-len(v.kept)); len(b) > room {
		b, v.Cut = b[:room], true
	}
	v.kept = append(v.kept, b...)
	s.to = len(v.kept)
}

// missValue notes that bytes of the value are not at hand.
func (v *Vars) missValue() {
	if v.cur != noFact {
		v.Cut = true
		v.cur = noFact
	}
}

// get returns the value of a variable, or nil if it was not sent.
func (v *Vars) get(f fact) []byte {
	s := v.at[f]
	if s.from == 0 {
		return nil
	}
	return v.kept[s.from:s.to:s.to]
}

// Method returns the request's method: a well-known one or protocol.MethodOther. It
// is empty if the method was not seen.
func (v *Vars) Method() string {
	m := v.get(method)
	if len(m) == 0 || !protocol.IsToken(m) {
		return ""
	}
	return protocol.InternMethod(m)
}

// Length returns the length of the request's body in bytes. known is false if the
// variables do not contain it.
func (v *Vars) Length() (n uint64, known bool) {
	value := v.get(contentLength)
	if len(value) == 0 {
		return 0, !v.Cut && v.get(transferEncoding) == nil
	}
	n, err := strconv.ParseUint(string(value), 10, 63)
	return n, err == nil
}

// Path returns the request's path without the query string.
func (v *Vars) Path() []byte {
	if uri := v.get(requestURI); len(uri) > 0 {
		path, _, _ := bytes.Cut(afterAuthority(uri), []byte{'?'})
		return path
	}
	script, info := v.get(scriptName), v.get(pathInfo)
	if len(script) == 0 {
		return info
	}
	return append(script, info...) // the capacity of script is its length, so this copies
}

// afterAuthority removes scheme and authority from a target in absolute form.
func afterAuthority(uri []byte) []byte {
	if uri[0] == '/' {
		return uri
	}
	_, rest, ok := bytes.Cut(uri, []byte("://"))
	if !ok {
		return uri
	}
	if i := bytes.IndexAny(rest, "/?"); i >= 0 {
		return rest[i:]
	}
	return []byte{'/'}
}

// Query returns the part of the target after the question mark, or nil if there is
// none.
func (v *Vars) Query() []byte {
	if q := v.get(queryString); len(q) > 0 {
		return q
	}
	_, q, _ := bytes.Cut(v.get(requestURI), []byte{'?'})
	return q
}

// Host returns the Host field, else the server's name.
func (v *Vars) Host() []byte {
	if h := v.get(host); len(h) > 0 {
		return h
	}
	return v.get(serverName)
}
