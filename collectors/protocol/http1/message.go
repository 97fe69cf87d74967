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

// Message is what HTTP/1 knows about a request beyond what all protocols share. A
// slice is nil, and a number 0, if the fact was not seen.
type Message struct {
	RawMethod   []byte // the method as sent, if Request.Method is protocol.MethodOther
	Query       []byte // without the question mark
	UserAgent   []byte
	TraceParent []byte // as sent; see protocol.ParseTraceParent
	TraceState  []byte

	RequestHeadLen  int // bytes, including the blank line
	ResponseHeadLen int
}

var (
	_ request.Detail  = (*Message)(nil)
	_ protocol.Traced = (*Message)(nil)
)

// QueryString returns the part of the target after the question mark, or nil if
// there is none.
func (m *Message) QueryString() []byte { return m.Query }

// UserAgentOriginal returns the User-Agent field, or nil if there is none.
func (m *Message) UserAgentOriginal() []byte { return m.UserAgent }

// MethodOriginal returns the method as sent, or nil if it equals Request.Method.
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

// Describe sets Protocol, Method, Path, Status, Host and Detail of r from the heads
// and makes m its detail. Either head may be nil if it was not seen. Then earlier
// facts of this head are kept. Describe copies no bytes: r and m refer to the same
// bytes as the heads.
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

// protocolOf returns the version of the request, else that of the response, else
// what was known before.
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
