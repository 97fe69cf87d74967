package http1

import (
	"bytes"

	"lapwing/collectors/protocol"
	"lapwing/collectors/request"
)

// decoder parses requests that the kernel framed.
type decoder struct {
	head    RequestHead
	message Message
}

// NewDecoder returns a decoder for what the kernel framed.
func NewDecoder() protocol.Decoder { return &decoder{} }

// Request implements protocol.Decoder.
func (d *decoder) Request(r *request.Request, f *protocol.Framed) (instead string) {
	if verdict := d.parse(f); !verdict.IsHead() {
		return verdict.String()
	}
	if len(f.TraceParent) > 0 {
		d.head.TraceParent = f.TraceParent
	}
	d.message = Message{}
	Describe(r, &d.head, nil, &d.message)
	r.Status, d.message.ResponseHeadLen = f.Status, f.ResponseHeadLen
	if d.head.HeadLen == 0 {
		d.message.RequestHeadLen = f.HeadLen
	}
	if d.head.LineCut {
		r.Flags |= request.HeadCut
	}
	return ""
}

// parse parses the head of a request. Only a whole request line makes a request. If
// it is not whole, there must be other evidence: an HTTP response, or a method in
// capitals, as registered methods are.
func (d *decoder) parse(f *protocol.Framed) Verdict {
	verdict := ParseRequest(f.Head, &d.head)
	inLine := f.In.In == protocol.InLine || f.In.In == protocol.InLost
	if verdict.IsHead() && d.head.LineCut && !d.head.Capitals && f.Status == 0 && inLine {
		return NotHTTP
	}
	return verdict
}

// Call implements protocol.Decoder.
func (d *decoder) Call(c *request.Call, f *protocol.Framed) bool {
	if !d.parse(f).IsHead() {
		return false
	}
	var r request.Request
	Describe(&r, &d.head, nil, &d.message)
	c.Protocol, c.Method = r.Protocol, r.Method
	if f.Status >= 200 || f.Status == 101 {
		c.Status = f.Status
	}
	c.Path, c.Host = bytes.Clone(r.Path), bytes.Clone(r.Host)
	return true
}

// Resume implements protocol.Decoder.
func (d *decoder) Resume(o protocol.Options) protocol.Resumer { return NewPairer(o) }
