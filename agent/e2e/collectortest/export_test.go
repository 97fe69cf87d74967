package collectortest_test

import (
	"context"
	"encoding/hex"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/collectortest"
	"lapwing/collectors/request"
	"lapwing/exporters/otlp"
)

const (
	kindInternal = 1
	kindServer   = 2
	statusUnset  = 0
	statusError  = 2
)

// finished returns a request that a server answered: 3 ms queue, 2 ms parse, 40
// ms app and 5 ms write_back. None of them is round in nanoseconds.
func finished(service string) *request.Request {
	start := request.Now() - request.Stamp(time.Minute)
	after := func(d time.Duration) request.Stamp { return start + request.Stamp(d) }
	return &request.Request{
		Stamps: request.Stamps{
			Accepted: after(1 * time.Millisecond), Arrived: start,
			ReadFirst: after(3*time.Millisecond + 1), ReadLast: after(5*time.Millisecond + 12),
			WriteFirst: after(45*time.Millisecond + 123), WriteLast: after(50*time.Millisecond + 1234),
			Acked: after(51 * time.Millisecond),
		},
		Seq: 1, ClientWait: time.Millisecond, Blocked: 2 * time.Millisecond,
		RequestBytes: 200, ResponseBytes: 10000,
		PID: 10, TID: 11, WriterTID: 11, AcceptorTID: 12, Comm: "nginx",
		Local:   request.Endpoint{Addr: netip.MustParseAddrPort("127.0.0.1:8080")},
		Peer:    request.Endpoint{Addr: netip.MustParseAddrPort("127.0.0.1:50000")},
		Service: service, Protocol: "http/1.1", Method: "POST", Path: []byte("/orders"), Status: 201,
		Host: []byte("localhost:8080"),
	}
}

// reset returns a request with a trace context whose client went away while the
// application worked.
func reset(service string) *request.Request {
	r := finished(service)
	r.Closed, r.WriteFirst, r.WriteLast, r.Acked = r.WriteFirst, 0, 0, 0
	r.Status, r.ResponseBytes, r.Error = 0, 0, "connection_reset"
	r.TraceID, r.ParentSpanID, r.Sampled = [16]byte{0x4b, 15: 0x36}, [8]byte{7: 0xb7}, true
	return r
}

// trace passes requests on as the agent does.
func trace(e *otlp.Exporter, requests ...*request.Request) {
	for _, r := range requests {
		request.AssignIDs(r)
		e.Trace(r)
	}
}

// send exports requests over one protocol and waits for the delivery.
func send(t *testing.T, c otlp.Config, clock *request.Clock, requests ...*request.Request) {
	t.Helper()
	e, err := otlp.New(c, clock, slog.Default())
	require.NoError(t, err)
	trace(e, requests...)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	require.NoError(t, e.Shutdown(ctx))
	assert.Empty(t, e.Dropped(), "dropped")
}

// tree holds the spans of one trace: the request, and its phases by name.
type tree struct {
	root   collectortest.Span
	phases map[string]collectortest.Span
}

// treeOf finds the trace of r among the spans and checks that it is connected.
func treeOf(t *testing.T, spans []collectortest.Span, r *request.Request) tree {
	t.Helper()
	found := tree{phases: make(map[string]collectortest.Span)}
	id := hex.EncodeToString(r.SpanID[:])
	for _, s := range spans {
		switch {
		case s.SpanID == id:
			found.root = s
		case s.ParentSpanID == id:
			found.phases[s.Name] = s
		default:
			continue
		}
		assert.Equal(t, hex.EncodeToString(r.TraceID[:]), s.TraceID, "trace of span %q", s.Name)
		assert.Equal(t, r.Service, s.Resource["service.name"], "service of span %q", s.Name)
		assert.Equal(t, "lapwing", s.Scope, "scope of span %q", s.Name)
	}
	require.NotEmpty(t, found.root.SpanID, "span %s is not among the %d that arrived", id, len(spans))
	return found
}

func wantWindow(t *testing.T, s collectortest.Span, clock *request.Clock, from, to request.Stamp) {
	t.Helper()
	assert.Equal(t, clock.UnixNano(from), int64(s.Start), "the start of "+s.Name)
	assert.Equal(t, clock.UnixNano(to), int64(s.End), "the end of "+s.Name)
}

func wantAttributes(t *testing.T, s collectortest.Span, want map[string]any) {
	t.Helper()
	assert.Equal(t, want, s.Attributes, "the attributes of "+s.Name)
}

func TestCollectorShowsTheSpanTree(t *testing.T) {
	collector, clock := collectortest.Start(t), request.NewClock()
	for protocol, endpoint := range map[string]string{
		otlp.ProtocolGRPC: collector.GRPC, otlp.ProtocolHTTPProtobuf: collector.HTTP, otlp.ProtocolHTTPJSON: collector.HTTP,
	} {
		t.Run(protocol, func(t *testing.T) {
			c := otlp.DefaultConfig()
			c.Endpoint, c.Protocol, c.Compression = endpoint, protocol, otlp.CompressionGzip
			whole, cut := finished("nginx"), reset("gunicorn")
			send(t, c, clock, whole, cut)
			spans := collector.WaitSpans(t, 1)
			checkFinished(t, treeOf(t, spans, whole), clock, whole)
			checkReset(t, treeOf(t, spans, cut), clock, cut)
		})
	}
}

func checkFinished(t *testing.T, got tree, clock *request.Clock, r *request.Request) {
	t.Helper()
	root := got.root
	assert.Equal(t, "POST", root.Name, "the request is %+v", root)
	assert.Equal(t, kindServer, root.Kind, "the request is %+v", root)
	assert.Empty(t, root.ParentSpanID, "the request is %+v", root)
	assert.Equal(t, statusUnset, root.Status, "the request is %+v", root)
	wantWindow(t, root, clock, r.Arrived, r.WriteLast)
	wantAttributes(t, root, map[string]any{
		"http.request.method": "POST", "url.path": "/orders", "url.scheme": "http",
		"http.response.status_code": int64(201), "http.request.size": int64(200), "http.response.size": int64(10000),
		"network.protocol.name": "http", "network.protocol.version": "1.1", "network.transport": "tcp",
		"server.address": "localhost", "server.port": int64(8080), "client.address": "127.0.0.1",
		"network.peer.address": "127.0.0.1", "network.peer.port": int64(50000),
		"network.local.address": "127.0.0.1", "network.local.port": int64(8080),
		"process.pid": int64(10), "thread.id": int64(11), "thread.name": "nginx",
		"lapwing.acceptor.thread.id": int64(12), "lapwing.boundary": "syscall", "lapwing.connection.request": int64(1),
		"lapwing.drain":          time.Duration(r.Acked - r.WriteLast).Seconds(),
		"lapwing.sampling.ratio": 1.0, "lapwing.sampling.reason": "ratio",
	})
	require.Len(t, got.phases, 4)
	wantWindow(t, got.phases["queue"], clock, r.Arrived, r.ReadFirst)
	wantWindow(t, got.phases["parse"], clock, r.ReadFirst, r.ReadLast)
	wantWindow(t, got.phases["app"], clock, r.ReadLast, r.WriteFirst)
	wantWindow(t, got.phases["write_back"], clock, r.WriteFirst, r.WriteLast)
	wantAttributes(t, got.phases["queue"], map[string]any{"lapwing.queue.backlog": 0.001, "lapwing.queue.dispatch": 0.002000001})
	wantAttributes(t, got.phases["parse"], map[string]any{"lapwing.parse.client_wait": 0.001})
	wantAttributes(t, got.phases["app"], map[string]any{})
	wantAttributes(t, got.phases["write_back"], map[string]any{"lapwing.write_back.blocked": 0.002, "lapwing.write_back.produce": 0.0})
	var sum uint64
	for name, phase := range got.phases {
		assert.Equal(t, kindInternal, phase.Kind, "the kind of "+name)
		sum += phase.End - phase.Start
	}
	assert.Equal(t, root.End-root.Start, sum, "the phases take %d ns, the request %d ns", sum, root.End-root.Start)
}

func checkReset(t *testing.T, got tree, clock *request.Clock, r *request.Request) {
	t.Helper()
	root := got.root
	assert.Equal(t, hex.EncodeToString(r.ParentSpanID[:]), root.ParentSpanID, "the request is %+v", root)
	assert.Equal(t, statusError, root.Status, "the request is %+v", root)
	assert.Equal(t, "connection_reset", root.Attributes["error.type"], "the request has attributes %v", root.Attributes)
	assert.Equal(t, "failed", root.Attributes["lapwing.sampling.reason"], "the request has attributes %v", root.Attributes)
	wantWindow(t, root, clock, r.Arrived, r.Closed)
	require.Len(t, got.phases, 2, "want queue and parse")
	wantWindow(t, got.phases["queue"], clock, r.Arrived, r.ReadFirst)
	wantWindow(t, got.phases["parse"], clock, r.ReadFirst, r.ReadLast)
}

func TestStopLeavesNothingRunning(t *testing.T) {
	collector := collectortest.Start(t)
	collector.Stop()
	c := otlp.DefaultConfig()
	c.Endpoint, c.Protocol = collector.HTTP, otlp.ProtocolHTTPProtobuf
	e, err := otlp.New(c, request.NewClock(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	trace(e, finished("nginx"))
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	assert.Error(t, e.Shutdown(ctx), "a stopped Collector took a request")
}
