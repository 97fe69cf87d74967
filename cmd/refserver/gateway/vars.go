package gateway

import (
	"bytes"

	"lapwing/cmd/refserver/httpio"
)

// maxVars is the maximum length of the variables, in bytes.
const maxVars = httpio.MaxHead

// request is the common part of the codecs. Variables set the fields of a
// request head, which refer to the bytes of the variables. The body follows.
type request struct {
	head httpio.Head
	body httpio.Body
	uri  bool // the target of the head is from REQUEST_URI
	vars []byte
}

func (r *request) reset() {
	*r = request{vars: r.vars[:0], head: httpio.Head{ContentLength: -1, Minor: 1}}
}

// Skip implements httpio.Codec.
func (r *request) Skip([]byte) int { return 0 }

// Head implements httpio.Codec.
func (r *request) Head() *httpio.Head { return &r.head }

// BodySize implements httpio.Codec.
func (r *request) BodySize() int64 { return r.body.Size }

// WantsContinue implements httpio.Codec. Gateway protocols have no such
// feature.
func (r *request) WantsContinue() bool { return false }

// set sets one variable.
func (r *request) set(name, value []byte) error {
	switch string(name) {
	case "REQUEST_METHOD":
		r.head.Method = httpio.MethodName(value)
	case "REQUEST_URI":
		r.uri = true
		r.head.Target = value
		r.head.Path, r.head.Query, _ = bytes.Cut(value, []byte{'?'})
	case "PATH_INFO":
		if !r.uri {
			r.head.Path = value
		}
	case "QUERY_STRING":
		if !r.uri {
			r.head.Query = value
		}
	case "CONTENT_LENGTH":
		return r.contentLength(value)
	case "CONTENT_TYPE":
		r.head.ContentType = value
	case "HTTP_HOST":
		r.head.Host = value
	case "HTTP_X_REQUEST_ID":
		r.head.RequestID = value
	case "HTTP_TRACEPARENT":
		r.head.TraceParent = value
	}
	return nil
}

func (r *request) contentLength(value []byte) error {
	if len(value) == 0 {
		return nil // front ends send it empty for requests without a body
	}
	n, ok := httpio.ParseDigits(value)
	if !ok {
		return bad("CONTENT_LENGTH is not a decimal number")
	}
	r.head.ContentLength = n
	return nil
}

// complete checks the head once all variables are set.
func (r *request) complete() error {
	if r.head.Method == "" || len(r.head.Path) == 0 {
		return bad("the variables lack REQUEST_METHOD, or both REQUEST_URI and PATH_INFO")
	}
	return nil
}

// decodeBody reads a body whose length is CONTENT_LENGTH.
func (r *request) decodeBody(p []byte) (used int, done bool, err error) {
	for !r.body.Done() {
		n, _, err := r.body.Next(p[used:])
		used += n
		if err != nil || n == 0 {
			return used, false, err
		}
	}
	return used, true, nil
}

func bad(reason string) error { return &httpio.Error{Status: 400, Reason: reason} }
