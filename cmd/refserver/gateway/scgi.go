package gateway

import (
	"bytes"
	"strconv"

	"lapwing/cmd/refserver/httpio"
)

// maxDigits limits the length before an SCGI head, in digits.
const maxDigits = 6

// scgi is the codec of SCGI: a netstring of variables, then the body. A
// connection carries one request. The response is CGI.
type scgi struct {
	request
	headDone bool
}

var _ httpio.Codec = (*scgi)(nil)

// NewSCGI returns the codec of one SCGI connection.
func NewSCGI() httpio.Codec { return new(scgi) }

// Reset implements httpio.Codec.
func (c *scgi) Reset() {
	c.reset()
	c.headDone = false
}

// Decode implements httpio.Codec.
func (c *scgi) Decode(p []byte) (used int, done bool, err error) {
	if !c.headDone {
		if used, err = c.decodeHead(p); err != nil || used == 0 {
			return 0, false, err
		}
		c.headDone = true
	}
	n, done, err := c.decodeBody(p[used:])
	return used + n, done, err
}

func (c *scgi) decodeHead(p []byte) (int, error) {
	digits, _, ok := bytes.Cut(p[:min(len(p), maxDigits+1)], []byte{':'})
	size, number := httpio.ParseDigits(digits)
	switch {
	case !number && len(p) > 0, !ok && len(p) > maxDigits:
		return 0, bad("this is not an SCGI request")
	case !ok:
		return 0, nil
	case size > maxVars:
		return 0, &httpio.Error{Status: 431, Reason: "the request head is longer than " + strconv.Itoa(maxVars) + " bytes"}
	}
	start := len(digits) + 1
	end := start + int(size)
	if len(p) <= end {
		return 0, nil
	}
	if p[end] != ',' {
		return 0, bad("the SCGI head does not end where it says")
	}
	c.vars = append(c.vars[:0], p[start:end]...)
	if err := c.setAll(); err != nil {
		return 0, err
	}
	return end + 1, c.body.Begin(&c.head)
}

func (c *scgi) setAll() error {
	for rest := c.vars; len(rest) > 0; {
		var name, value []byte
		var ok, ok2 bool
		name, rest, ok = bytes.Cut(rest, []byte{0})
		value, rest, ok2 = bytes.Cut(rest, []byte{0})
		if !ok || !ok2 {
			return bad("an SCGI variable does not end")
		}
		if err := c.set(name, value); err != nil {
			return err
		}
	}
	return c.complete()
}

// Respond implements httpio.Codec.
func (c *scgi) Respond(w *httpio.Response, sink httpio.Sink, _ bool) {
	w.ResetCGI(sink, &c.head, false)
}

// AppendSCGI appends a request as the front end sends it, without the body.
// CONTENT_LENGTH must be the first variable.
func AppendSCGI(b []byte, vars []Var) ([]byte, error) {
	size := 0
	for _, v := range vars {
		size += len(v.Name) + len(v.Value) + 2
	}
	b = append(strconv.AppendInt(b, int64(size), 10), ':')
	for _, v := range vars {
		b = append(append(b, v.Name...), 0)
		b = append(append(b, v.Value...), 0)
	}
	return append(b, ','), nil
}
