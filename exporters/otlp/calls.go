package otlp

import (
	"strconv"
	"strings"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"lapwing/collectors/request"
	"lapwing/exporters/metrics"
)

// call returns the CLIENT span of a call. Its parent is the span of the app
// phase, unless the server started the call before or after that phase.
func (b *builder) call(root, app *span, c *request.Call, w window) *span {
	s := b.spans.Next()
	s.id = c.SpanID
	p := &s.span
	parent := root
	if app != nil && w.at(c.Start) >= app.span.StartTimeUnixNano && w.at(c.Start) <= app.span.EndTimeUnixNano {
		parent = app
	}
	p.TraceId, p.SpanId, p.ParentSpanId = root.traceID[:], s.id[:], parent.id[:]
	p.Flags = uint32(tracepb.SpanFlags_SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK) | flagSampled
	p.TraceState = root.span.TraceState
	p.Name = callName(c)
	p.Kind = tracepb.Span_SPAN_KIND_CLIENT
	p.StartTimeUnixNano, p.EndTimeUnixNano = w.at(c.Start), w.at(c.End())
	p.Status = nil
	if c.Failed() {
		s.status.Code = tracepb.Status_STATUS_CODE_ERROR
		p.Status = &s.status
	}
	a := attrs{slab: &b.attrs, list: p.Attributes[:0]}
	a.call(c)
	p.Attributes = a.list
	return s
}

// callName returns the method, or the protocol if it has no methods, or "call"
// if the protocol is unknown.
func callName(c *request.Call) string {
	switch {
	case c.Protocol == "":
		return "call"
	case c.Method == "":
		return c.Protocol
	case metrics.KnownMethod(c.Method):
		return c.Method
	}
	return "HTTP"
}

// call adds the attributes that the conventions define for a client span.
func (a *attrs) call(c *request.Call) {
	name, port := splitHost(c.Host)
	if c.Method != "" {
		a.method(c.Method, nil)
	}
	if strings.HasPrefix(c.Protocol, "http/") && len(c.Host) > 0 {
		a.text(semconv.URLFullKey, "http://"+string(c.Host)+string(c.Path))
	}
	if c.Status != 0 {
		a.number(semconv.HTTPResponseStatusCodeKey, int64(c.Status))
	}
	a.text(semconv.ErrorTypeKey, callErrorType(c))
	if c.Protocol != "" {
		a.protocol(c.Protocol)
	}
	a.called(c.Peer, name, port)
	a.number(semconv.HTTPRequestSizeKey, int64(c.RequestBytes))
	a.number(semconv.HTTPResponseSizeKey, int64(c.ResponseBytes))
	if c.Connected > c.Start {
		a.double(keyConnect, float64(c.Connected-c.Start)/1e9)
	}
	a.text(keyCallEnd, c.Ending.String())
	a.number(semconv.ProcessPIDKey, int64(c.PID))
	a.number(semconv.ThreadIDKey, int64(c.TID))
}

func callErrorType(c *request.Call) string {
	if c.Error == "" && c.Status >= 400 {
		return strconv.Itoa(c.Status)
	}
	return c.Error
}

// called adds the server: the name that the caller used for it, or else its
// address.
func (a *attrs) called(peer request.Endpoint, name []byte, port int64) {
	if peer.IsUn {
		a.text(semconv.NetworkTransportUnix.Key, semconv.NetworkTransportUnix.Value.AsString())
		if len(name) == 0 {
			name, port = peer.Unix, 0
		}
		a.server(name, port)
		a.bytes(semconv.NetworkPeerAddressKey, peer.Unix)
		return
	}
	address := peer.Addr.Addr().Unmap().String()
	if len(name) == 0 {
		name = []byte(address)
	}
	if port == 0 {
		port = int64(peer.Addr.Port())
	}
	a.text(semconv.NetworkTransportTCP.Key, semconv.NetworkTransportTCP.Value.AsString())
	a.server(name, port)
	a.text(semconv.NetworkPeerAddressKey, address)
	a.number(semconv.NetworkPeerPortKey, int64(peer.Addr.Port()))
}
