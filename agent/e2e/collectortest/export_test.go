package collectortest_test

import (
	"context"
	"encoding/hex"
	"log/slog"
	"net/netip"
	"reflect"
	"testing"
	"time"

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
	if dropped := e.Dropped(); len(dropped) != 0 {
		t.Errorf("dropped %v", dropped)
	}
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
		if s.TraceID != hex.EncodeToString(r.TraceID[:]) {
			t.Errorf("span %q is in trace %s, want %x", s.Name, s.TraceID, r.TraceID)
		}
		if s.Resource["service.name"] != r.Service || s.Scope != "lapwing" {
			t.Errorf("span %q is of service %v, scope %q", s.Name, s.Resource["service.name"], s.Scope)
		}
	}
	if found.root.SpanID == "" {
		t.Fatalf("span %s is not among the %d that arrived", id, len(spans))
	}
	return found
}

func wantWindow(t *testing.T, s collectortest.Span, clock *request.Clock, from, to request.Stamp) {
	t.Helper()
	if s.Start != uint64(clock.UnixNano(from)) || s.End != uint64(clock.UnixNano(to)) {
		t.Errorf("%s lies at %d to %d, want %d to %d", s.Name, s.Start, s.End, clock.UnixNano(from), clock.UnixNano(to))
	}
}

func wantAttributes(t *testing.T, s collectortest.Span, want map[string]any) {
	t.Helper()
	if !reflect.DeepEqual(s.Attributes, want) {
		t.Errorf("%s has attributes\n%v, want\n%v", s.Name, s.Attributes, want)
	}
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
	if root.Name != "POST" || root.Kind != kindServer || root.ParentSpanID != "" || root.Status != statusUnset {
		t.Errorf("the request is %+v", root)
	}
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
	if len(got.phases) != 4 {
		t.Fatalf("%d phases", len(got.phases))
	}
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
		if phase.Kind != kindInternal {
			t.Errorf("%s has kind %d", name, phase.Kind)
		}
		sum += phase.End - phase.Start
	}
	if sum != root.End-root.Start {
		t.Errorf("the phases take %d ns, the request %d ns", sum, root.End-root.Start)
	}
}

func checkReset(t *testing.T, got tree, clock *request.Clock, r *request.Request) {
	t.Helper()
	root := got.root
	if root.ParentSpanID != hex.EncodeToString(r.ParentSpanID[:]) || root.Status != statusError {
		t.Errorf("the request is %+v", root)
	}
	if root.Attributes["error.type"] != "connection_reset" || root.Attributes["lapwing.sampling.reason"] != "failed" {
		t.Errorf("the request has attributes %v", root.Attributes)
	}
	wantWindow(t, root, clock, r.Arrived, r.Closed)
	if len(got.phases) != 2 {
		t.Fatalf("phases %v, want queue and parse", got.phases)
	}
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
	if err := e.Shutdown(ctx); err == nil {
		t.Error("a stopped Collector took a request")
	}
}
