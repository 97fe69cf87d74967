package gateway

import (
	"encoding/binary"

	"lapwing/cmd/refserver/httpio"
)

// uwsgiHeader is the length of the header of a packet in bytes: modifier, size
// of the variables (little-endian), modifier.
const uwsgiHeader = 4

// uwsgi is the codec of the uwsgi protocol. A connection carries one request.
// The response is plain HTTP.
type uwsgi struct {
	request
	headDone bool
}

var _ httpio.Codec = (*uwsgi)(nil)

// NewUWSGI returns the codec of one uwsgi connection.
func NewUWSGI() httpio.Codec { return new(uwsgi) }

// Reset implements httpio.Codec.
func (c *uwsgi) Reset() {
	c.reset()
	c.headDone = false
}

// Decode implements httpio.Codec.
func (c *uwsgi) Decode(p []byte) (used int, done bool, err error) {
	if !c.headDone {
		if used, err = c.decodeHead(p); err != nil || used == 0 {
			return 0, false, err
		}
		c.headDone = true
	}
	n, done, err := c.decodeBody(p[used:])
	return used + n, done, err
}

func (c *uwsgi) decodeHead(p []byte) (int, error) {
	// The modifiers select how to handle a request: 0 is a WSGI request.
	if len(p) > 0 && p[0] != 0 || len(p) >= uwsgiHeader && p[3] != 0 {
		return 0, bad("this is not a uwsgi request")
	}
	if len(p) < uwsgiHeader {
		return 0, nil
	}
	end := uwsgiHeader + int(binary.LittleEndian.Uint16(p[1:]))
	if len(p) < end {
		return 0, nil
	}
	c.vars = append(c.vars[:0], p[uwsgiHeader:end]...)
	if err := c.setAll(); err != nil {
		return 0, err
	}
	return end, c.body.Begin(&c.head)
}

func (c *uwsgi) setAll() error {
	for rest := c.vars; len(rest) > 0; {
		var name, value []byte
		var ok, ok2 bool
		name, rest, ok = cut16(rest)
		value, rest, ok2 = cut16(rest)
		if !ok || !ok2 {
			return bad("a uwsgi variable is longer than the packet")
		}
		if err := c.set(name, value); err != nil {
			return err
		}
	}
	return c.complete()
}

// cut16 cuts a string from b that follows its 16-bit length.
func cut16(b []byte) (s, rest []byte, ok bool) {
	if len(b) < 2 {
		return nil, nil, false
	}
	end := 2 + int(binary.LittleEndian.Uint16(b))
	if len(b) < end {
		return nil, nil, false
	}
	return b[2:end], b[end:], true
}

// Respond implements httpio.Codec.
func (c *uwsgi) Respond(w *httpio.Response, sink httpio.Sink, _ bool) {
	c.head.Minor = 0 // the response ends with the connection, without chunks
	w.Reset(sink, &c.head, false)
}

// AppendUWSGI appends a request as the front end sends it, without the body. It
// returns an error for variables that are too long.
func AppendUWSGI(b []byte, vars []Var) ([]byte, error) {
	start := len(b)
	b = append(b, 0, 0, 0, 0)
	for _, v := range vars {
		b = append(binary.LittleEndian.AppendUint16(b, uint16(len(v.Name))), v.Name...)
		b = append(binary.LittleEndian.AppendUint16(b, uint16(len(v.Value))), v.Value...)
	}
	size := len(b) - start - uwsgiHeader
	if size > 0xffff {
		return nil, &httpio.Error{Status: 431, Reason: "the request head is longer than the uwsgi protocol allows"}
	}
	binary.LittleEndian.PutUint16(b[start+1:], uint16(size))
	return b, nil
}
