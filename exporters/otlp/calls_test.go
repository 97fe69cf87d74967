package otlp

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"lapwing/collectors/request"
)

// sampleCall returns a call during the app phase of r, unless it is shifted.
func sampleCall(r *request.Request, shift time.Duration) *request.Call {
	start := r.ReadLast + request.Stamp(time.Millisecond) + request.Stamp(shift)
	return &request.Call{
		SpanID: [8]byte{7}, Start: start, Connected: start + 500_000, SentFirst: start + 600_000, GotLast: start + 2_000_000,
		Peer:     request.Endpoint{Addr: netip.MustParseAddrPort("127.0.0.1:9000")},
		Protocol: "http/1.1", Method: "GET", Path: []byte("/item"), Host: []byte("back.example:81"), Status: 404,
		RequestBytes: 10, ResponseBytes: 20, PID: 100, TID: 101,
	}
}

func TestCallIsAClientSpanBelowApp(t *testing.T) {
	r := sample()
	r.Calls = []*request.Call{sampleCall(r, 0), sampleCall(r, 6*time.Millisecond)}
	spans := spansOf(t, newTestBuilder(t, false), r)
	require.Len(t, spans, 7)
	app, during, after := spans[3], spans[5], spans[6]
	assert.Equal(t, "app", app.Name)
	assert.Equal(t, app.SpanId, during.ParentSpanId, "a call that began during app lies below app")
	assert.Equal(t, spans[0].SpanId, after.ParentSpanId, "a call that began after app lies below the request")
	assert.Equal(t, tracepb.Span_SPAN_KIND_CLIENT, during.Kind)
	assert.Equal(t, "GET", during.Name)
	assert.Equal(t, tracepb.Status_STATUS_CODE_ERROR, during.Status.GetCode())
	assert.EqualValues(t, 2_000_000, during.EndTimeUnixNano-during.StartTimeUnixNano)
	wantAttributes(t, "call", during.Attributes, map[string]any{
		"http.request.method": "GET", "http.response.status_code": int64(404), "error.type": "404",
		"url.full": "http://back.example:81/item", "url.scheme": "http",
		"network.protocol.name": "http", "network.protocol.version": "1.1", "network.transport": "tcp",
		"server.address": "back.example", "server.port": int64(81),
		"network.peer.address": "127.0.0.1", "network.peer.port": int64(9000),
		"http.request.size": int64(10), "http.response.size": int64(20),
		"lapwing.call.connect": 0.0005, "process.pid": int64(100), "thread.id": int64(101),
	})
}

func TestCallOfUnknownProtocolIsTimed(t *testing.T) {
	r := sample()
	c := sampleCall(r, 0)
	*c = request.Call{
		SpanID: c.SpanID, Start: c.Start, GotLast: c.GotLast, PID: 1, TID: 1, Ending: request.CallEndLastRead,
		Peer: request.Endpoint{IsUn: true, Unix: []byte("/run/db.sock")},
	}
	r.Calls = []*request.Call{c}
	span := spansOf(t, newTestBuilder(t, false), r)[5]
	assert.Equal(t, "call", span.Name)
	assert.Nil(t, span.Status)
	wantAttributes(t, "call", span.Attributes, map[string]any{
		"network.transport": "unix", "server.address": "/run/db.sock", "network.peer.address": "/run/db.sock",
		"http.request.size": int64(0), "http.response.size": int64(0), "process.pid": int64(1), "thread.id": int64(1), "lapwing.call.end": "last_read",
	})
}
