package gateway

import (
	"encoding/binary"

	"lapwing/cmd/refserver/httpio"
)

// Record types and sizes of FastCGI.
const (
	fcgiVersion = 1

	fcgiBegin  = 1
	fcgiAbort  = 2
	fcgiEnd    = 3
	fcgiParams = 4
	fcgiStdin  = 5
	fcgiStdout = 6
	fcgiStderr = 7

	fcgiHeader     = 8 // version, type, request id, content length, padding length, reserved
	fcgiMaxContent = 65528
	fcgiResponder  = 1 // the role
	fcgiKeepConn   = 1 // a flag
)

// Record is one FastCGI record.
type Record struct {
	Type    byte
	ID      uint16
	Content []byte
}

// CutRecord cuts a record from the start of p. It returns 0 if p does not
// contain the whole record.
func CutRecord(p []byte) (r Record, used int, err error) {
	if len(p) > 0 && p[0] != fcgiVersion {
		return Record{}, 0, bad("this is not a FastCGI record")
	}
	if len(p) < fcgiHeader {
		return Record{}, 0, nil
	}
	size := int(binary.BigEndian.Uint16(p[4:]))
	end := fcgiHeader + size + int(p[6])
	if len(p) < end {
		return Record{}, 0, nil
	}
	return Record{Type: p[1], ID: binary.BigEndian.Uint16(p[2:]), Content: p[fcgiHeader : fcgiHeader+size]}, end, nil
}

// appendHeader appends the header of a record without padding.
func appendHeader(b []byte, kind byte, id uint16, size int) []byte {
	b = binary.BigEndian.AppendUint16(append(b, fcgiVersion, kind), id)
	return append(binary.BigEndian.AppendUint16(b, uint16(size)), 0, 0)
}

// appendStream appends content as records of a stream. It does not end the
// stream.
func appendStream(b []byte, kind byte, id uint16, content []byte) []byte {
	for len(content) > 0 {
		n := min(len(content), fcgiMaxContent)
		b = append(appendHeader(b, kind, id, n), content[:n]...)
		content = content[n:]
	}
	return b
}

// fastcgi is the codec of FastCGI. It handles one request at a time.
type fastcgi struct {
	request
	id         uint16
	begun      bool
	paramsDone bool
	keepConn   bool
	sink       fcgiSink
}

var _ httpio.Codec = (*fastcgi)(nil)

// NewFastCGI returns the codec of one FastCGI connection.
func NewFastCGI() httpio.Codec { return new(fastcgi) }

// Reset implements httpio.Codec.
func (c *fastcgi) Reset() {
	c.reset()
	c.id, c.begun, c.paramsDone, c.keepConn = 0, false, false, false
}

// Decode implements httpio.Codec.
func (c *fastcgi) Decode(p []byte) (used int, done bool, err error) {
	for !done {
		r, n, err := CutRecord(p[used:])
		if err != nil || n == 0 {
			return used, false, err
		}
		used += n
		if done, err = c.take(r); err != nil {
			return used, false, err
		}
	}
	return used, true, nil
}

// take handles one record and reports whether the request is complete.
func (c *fastcgi) take(r Record) (done bool, err error) {
	switch {
	case r.Type == fcgiBegin && !c.begun:
		return false, c.begin(r)
	case !c.begun || r.ID != c.id:
		return false, bad("a FastCGI record does not belong to the request in progress")
	case r.Type == fcgiAbort:
		return false, bad("the front end has aborted the request")
	case r.Type == fcgiParams && !c.paramsDone:
		return false, c.params(r.Content)
	case r.Type == fcgiStdin && c.paramsDone:
		c.body.Size += int64(len(r.Content))
		if c.body.Size > httpio.MaxBody {
			return false, &httpio.Error{Status: 413, Reason: "the request body is longer than 1 GiB"}
		}
		return len(r.Content) == 0, nil
	}
	return false, bad("a FastCGI record comes at the wrong time")
}

func (c *fastcgi) begin(r Record) error {
	if len(r.Content) < 8 || binary.BigEndian.Uint16(r.Content) != fcgiResponder {
		return bad("this FastCGI server is a responder only")
	}
	c.begun, c.id = true, r.ID
	c.keepConn = r.Content[2]&fcgiKeepConn != 0
	return nil
}

func (c *fastcgi) params(content []byte) error {
	if len(content) > 0 {
		c.vars = append(c.vars, content...)
		if len(c.vars) > maxVars {
			return &httpio.Error{Status: 431, Reason: "the request head is too long"}
		}
		return nil
	}
	c.paramsDone = true
	for rest := c.vars; len(rest) > 0; {
		nameLen, r1, ok := cutLength(rest)
		valueLen, r2, ok2 := cutLength(r1)
		if !ok || !ok2 || nameLen+valueLen > len(r2) {
			return bad("a FastCGI parameter is longer than the stream")
		}
		if err := c.set(r2[:nameLen], r2[nameLen:nameLen+valueLen]); err != nil {
			return err
		}
		rest = r2[nameLen+valueLen:]
	}
	return c.complete()
}

// cutLength cuts a length of one or four bytes from b.
func cutLength(b []byte) (n int, rest []byte, ok bool) {
	switch {
	case len(b) == 0:
		return 0, nil, false
	case b[0] < 0x80:
		return int(b[0]), b[1:], true
	case len(b) < 4:
		return 0, nil, false
	}
	return int(binary.BigEndian.Uint32(b) & 0x7fffffff), b[4:], true
}

func appendLength(b []byte, n int) []byte {
	if n < 0x80 {
		return append(b, byte(n))
	}
	return binary.BigEndian.AppendUint32(b, uint32(n)|0x80000000)
}

// Respond implements httpio.Codec.
func (c *fastcgi) Respond(w *httpio.Response, sink httpio.Sink, keepAlive bool) {
	c.sink = fcgiSink{sink: sink, id: max(c.id, 1), buf: c.sink.buf[:0]}
	w.ResetCGI(&c.sink, &c.head, keepAlive && c.keepConn)
}

// AppendFastCGI appends a request as the front end sends it, including the
// body.
func AppendFastCGI(b []byte, vars []Var, body []byte) ([]byte, error) {
	const id = 1
	b = appendHeader(b, fcgiBegin, id, 8)
	b = append(b, 0, fcgiResponder, 0, 0, 0, 0, 0, 0)
	var params []byte
	for _, v := range vars {
		params = appendLength(appendLength(params, len(v.Name)), len(v.Value))
		params = append(append(params, v.Name...), v.Value...)
	}
	b = appendStream(b, fcgiParams, id, params)
	b = appendHeader(b, fcgiParams, id, 0)
	b = appendStream(b, fcgiStdin, id, body)
	return appendHeader(b, fcgiStdin, id, 0), nil
}
