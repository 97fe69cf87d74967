package http1

import (
	"bytes"

	"lapwing/collectors/protocol"
	"lapwing/collectors/request"
	"lapwing/collectors/text"
)

// Names of the versions in request.Request.Protocol.
const (
	ProtocolHTTP10 = "http/1.0"
	ProtocolHTTP11 = "http/1.1"
)

// Message is what HTTP/1 knows of a request beyond what all protocols share. A
// slice is nil, and a number 0, when its fact was not seen.
type Message struct {
	RawMethod   []byte // the method as sent, where Request.Method is protocol.MethodOther
	Query       []byte // without the question mark
	UserAgent   []byte
	TraceParent []byte // as sent: see ParseTraceParent
	TraceState  []byte

	RequestHeadLen  int // bytes, blank line included
	ResponseHeadLen int
}

var (
	_ request.Detail  = (*Message)(nil)
	_ protocol.Traced = (*Message)(nil)
)

// QueryString is the target behind the question mark, nil if there is none.
func (m *Message) QueryString() []byte { return m.Query }

// UserAgentOriginal is the User-Agent field, nil if there is none.
func (m *Message) UserAgentOriginal() []byte { return m.UserAgent }

// MethodOriginal is the method as sent, nil if Request.Method is it.
func (m *Message) MethodOriginal() []byte { return m.RawMethod }

// TraceContext implements protocol.Traced.
func (m *Message) TraceContext() (parent, state []byte) { return m.TraceParent, m.TraceState }

// Clone implements request.Detail.
func (m *Message) Clone() request.Detail {
	c := *m
	c.RawMethod = bytes.Clone(m.RawMethod)
	c.Query = bytes.Clone(m.Query)
	c.UserAgent = bytes.Clone(m.UserAgent)
	c.TraceParent = bytes.Clone(m.TraceParent)
	c.TraceState = bytes.Clone(m.TraceState)
	return &c
}

// Describe fills Protocol, Method, Path, Status, Host and Detail of r from the
// heads and makes m its detail. Either head may be nil when it was not seen;
// what the other gave before is then kept. It copies no bytes: r and m view
// into what the heads view into.
func Describe(r *request.Request, req *RequestHead, resp *ResponseHead, m *Message) {
	r.Detail = m
	if req != nil {
		r.Method, r.Path = req.Method, protocol.Path(req.Path)
		r.Host = text.Cut(req.Host, text.MaxHost)
		m.RawMethod = nil
		if req.Method == protocol.MethodOther {
			m.RawMethod = text.Cut(req.RawMethod, protocol.MaxMethodLen)
		}
		m.Query, m.UserAgent = text.Cut(req.Query, text.MaxQuery), text.Cut(req.UserAgent, text.MaxUserAgent)
		m.TraceParent, m.TraceState = req.TraceParent, req.TraceState
		m.RequestHeadLen = req.HeadLen
	}
	if resp != nil {
		r.Status = resp.Status
		m.ResponseHeadLen = resp.HeadLen
	}
	r.Protocol = protocolOf(r.Protocol, req, resp)
}

// protocolOf names the version: the request's, else the response's, else what
// was known before.
func protocolOf(known string, req *RequestHead, resp *ResponseHead) string {
	switch {
	case req != nil && !req.LineCut:
		return protocolName(req.Minor)
	case known != "":
		return known
	case resp != nil && resp.Status != 0:
		return protocolName(resp.Minor)
	case req != nil && req.Method != "":
		return ProtocolHTTP11
	}
	return ""
}

func protocolName(minor int) string {
	if minor == 0 {
		return ProtocolHTTP10
	}
	return ProtocolHTTP11
}
