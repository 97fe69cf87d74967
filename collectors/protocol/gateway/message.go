package gateway

import (
	"bytes"

	"lapwing/collectors/protocol"
	"lapwing/collectors/request"
	"lapwing/collectors/text"
)

// Message is what the variables say about a request beyond what all protocols
// share. A slice is nil if its fact was not seen.
type Message struct {
	RawMethod   []byte // the method as sent, if Request.Method is protocol.MethodOther
	Query       []byte // without the question mark
	UserAgent   []byte
	TraceParent []byte // as sent; see protocol.ParseTraceParent
	TraceState  []byte
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
	return &Message{
		RawMethod:   bytes.Clone(m.RawMethod),
		Query:       bytes.Clone(m.Query),
		UserAgent:   bytes.Clone(m.UserAgent),
		TraceParent: bytes.Clone(m.TraceParent),
		TraceState:  bytes.Clone(m.TraceState),
	}
}

// describe sets in r and m what the variables say about the request. It copies no
// bytes.
func (v *Vars) describe(r *request.Request, m *Message) {
	r.Method, r.Path = v.Method(), protocol.Path(v.Path())
	r.Host = text.Cut(v.Host(), text.MaxHost)
	*m = Message{
		Query: text.Cut(v.Query(), text.MaxQuery), UserAgent: text.Cut(v.get(userAgent), text.MaxUserAgent),
		TraceParent: v.get(traceParent), TraceState: v.get(traceState),
	}
	if r.Method == protocol.MethodOther {
		m.RawMethod = text.Cut(v.get(method), protocol.MaxMethodLen)
	}
	if v.Cut {
		r.Flags |= request.HeadCut
	}
}
