package otlp

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"lapwing/collectors/request"
	"lapwing/exporters/otlp/sampling"
)

func newTestBuilder(t testing.TB, withQuery bool) *builder {
	t.Helper()
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test,service.name=agent")
	res, err := newResources(context.Background())
	require.NoError(t, err)
	return newBuilder(request.NewClock(), withQuery, res)
}

// items copies requests as the queue does.
func items(requests ...*request.Request) []*item {
	var list []*item
	s := sampling.New(sampling.Config{Ratio: 1})
	for _, r := range requests {
		request.AssignIDs(r)
		i := new(item)
		i.fill(r, s.Decide(r))
		list = append(list, i)
	}
	return list
}

// spansOf builds one request and returns its spans.
func spansOf(t testing.TB, b *builder, r *request.Request) []*tracepb.Span {
	t.Helper()
	batch, n := b.build(items(r))
	require.Len(t, batch, 1, "one resource")
	require.Len(t, batch[0].ScopeSpans, 1, "one scope")
	spans := batch[0].ScopeSpans[0].Spans
	require.Len(t, spans, n)
	return spans
}

func plain(attributes []*commonpb.KeyValue) map[string]any {
	m := make(map[string]any)
	for _, kv := range attributes {
		switch v := kv.Value.Value.(type) {
		case *commonpb.AnyValue_StringValue:
			m[kv.Key] = v.StringValue
		case *commonpb.AnyValue_IntValue:
			m[kv.Key] = v.IntValue
		case *commonpb.AnyValue_DoubleValue:
			m[kv.Key] = v.DoubleValue
		case *commonpb.AnyValue_ArrayValue:
			var list []string
			for _, e := range v.ArrayValue.Values {
				list = append(list, e.GetStringValue())
			}
			m[kv.Key] = list
		}
	}
	return m
}

func wantAttributes(t *testing.T, what string, got []*commonpb.KeyValue, want map[string]any) {
	t.Helper()
	have := plain(got)
	assert.Len(t, have, len(got), "%s: a key is there twice: %v", what, got)
	for key, value := range want {
		assert.Equal(t, value, have[key], "%s: %s", what, key)
	}
	for key := range have {
		assert.Contains(t, want, key, "%s: %s = %#v is not expected", what, key, have[key])
	}
}

func TestRootSpan(t *testing.T) {
	b := newTestBuilder(t, false)
	r := sample()
	r.Flags = request.Pipelined | request.Streamed
	root := spansOf(t, b, r)[0]
	assert.Equal(t, tracepb.Span_SPAN_KIND_SERVER, root.Kind)
	assert.Equal(t, "GET", root.Name)
	assert.Equal(t, uint64(b.clock.UnixNano(r.Arrived)), root.StartTimeUnixNano, "it starts at arrived")
	assert.Equal(t, uint64(b.clock.UnixNano(r.WriteLast)), root.EndTimeUnixNano, "it ends at write_last")
	assert.Equal(t, r.TraceID[:], root.TraceId)
	assert.Equal(t, r.SpanID[:], root.SpanId)
	assert.Nil(t, root.ParentSpanId)
	assert.Nil(t, root.Status)
	wantAttributes(t, "root", root.Attributes, map[string]any{
		"http.request.method": "GET", "url.path": "/users/42", "url.scheme": "http",
		"http.response.status_code": int64(200), "user_agent.original": "curl/8",
		"http.request.size": int64(120), "http.response.size": int64(4096),
		"network.protocol.name": "http", "network.protocol.version": "1.1", "network.transport": "tcp",
		"server.address": "shop.example", "server.port": int64(8081),
		"client.address": "127.0.0.2", "network.peer.address": "127.0.0.2", "network.peer.port": int64(40000),
		"network.local.address": "127.0.0.1", "network.local.port": int64(8080),
		"process.pid": int64(100), "thread.id": int64(101), "thread.name": "worker",
		"lapwing.acceptor.thread.id": int64(103), "lapwing.writer.thread.id": int64(102),
		"lapwing.boundary": "syscall", "lapwing.connection.request": int64(1),
		"lapwing.flags": []string{"pipelined", "streamed"}, "lapwing.drain": 0.001,
		"lapwing.sampling.ratio": 1.0, "lapwing.sampling.reason": "ratio",
	})
}

func TestPhaseSpans(t *testing.T) {
	b := newTestBuilder(t, false)
	r := sample()
	spans := spansOf(t, b, r)
	want := []struct {
		name       string
		from, to   request.Stamp
		attributes map[string]any
	}{
		{"queue", r.Arrived, r.ReadFirst, map[string]any{"lapwing.queue.backlog": 0.001, "lapwing.queue.dispatch": 0.001}},
		{"parse", r.ReadFirst, r.ReadLast, map[string]any{"lapwing.parse.client_wait": 0.0005}},
		{"app", r.ReadLast, r.WriteFirst, nil},
		{"write_back", r.WriteFirst, r.WriteLast, map[string]any{"lapwing.write_back.blocked": 0.001, "lapwing.write_back.produce": 0.0}},
	}
	require.Len(t, spans, 1+len(want))
	root, ids := spans[0], map[string]bool{string(spans[0].SpanId): true}
	for i, w := range want {
		s := spans[i+1]
		assert.Equal(t, w.name, s.Name, "span %d", i+1)
		assert.Equal(t, tracepb.Span_SPAN_KIND_INTERNAL, s.Kind, w.name)
		assert.Equal(t, root.SpanId, s.ParentSpanId, "%s is not a child of the request", w.name)
		assert.Equal(t, root.TraceId, s.TraceId, "%s is not in the trace of the request", w.name)
		assert.Equal(t, uint64(b.clock.UnixNano(w.from)), s.StartTimeUnixNano, "the start of %s", w.name)
		assert.Equal(t, uint64(b.clock.UnixNano(w.to)), s.EndTimeUnixNano, "the end of %s", w.name)
		wantAttributes(t, w.name, s.Attributes, w.attributes)
		ids[string(s.SpanId)] = true
	}
	assert.Len(t, ids, len(spans))
}

func TestSpanOfUnfinishedRequest(t *testing.T) {
	tests := map[string]struct {
		change   func(*request.Request)
		end      func(*request.Request) request.Stamp
		children []string
	}{
		"closed in app": {
			func(r *request.Request) {
				r.Closed, r.WriteFirst, r.WriteLast, r.Acked = r.WriteFirst+1, 0, 0, 0
			},
			func(r *request.Request) request.Stamp { return r.Closed }, []string{"queue", "parse"},
		},
		"closed in queue": {
			func(r *request.Request) {
				r.Closed = r.ReadFirst
				r.ReadFirst, r.ReadLast, r.WriteFirst, r.WriteLast = 0, 0, 0, 0
			},
			func(r *request.Request) request.Stamp { return r.Closed }, nil,
		},
		"marker after the last thing seen": {
			func(r *request.Request) {
				r.Boundary, r.Marker, r.WriteFirst, r.WriteLast = request.BoundaryMarker, r.ReadLast+500, 0, 0
			},
			func(r *request.Request) request.Stamp { return r.Marker }, []string{"queue", "parse"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b, r := newTestBuilder(t, false), sample()
			test.change(r)
			r.Status, r.Error = 0, "connection_reset"
			spans := spansOf(t, b, r)
			assert.Equal(t, uint64(b.clock.UnixNano(test.end(r))), spans[0].EndTimeUnixNano, "the end of the request")
			var children []string
			for _, s := range spans[1:] {
				children = append(children, s.Name)
			}
			assert.Equal(t, test.children, children)
			assert.Equal(t, tracepb.Status_STATUS_CODE_ERROR, spans[0].Status.GetCode())
			assert.Equal(t, "connection_reset", plain(spans[0].Attributes)["error.type"])
		})
	}
}

func TestSpanWithoutArrivalStartsAtTheFirstStamp(t *testing.T) {
	b, r := newTestBuilder(t, false), sample()
	r.Arrived, r.ReadFirst, r.ReadLast, r.Flags = 0, 0, 0, request.Orphan
	spans := spansOf(t, b, r)
	require.Len(t, spans, 1)
	assert.Equal(t, uint64(b.clock.UnixNano(r.WriteFirst)), spans[0].StartTimeUnixNano, "it starts at write_first")
}

func TestIncomingContextIsContinued(t *testing.T) {
	b, r := newTestBuilder(t, false), sample()
	r.TraceID, r.ParentSpanID = [16]byte{1, 15: 0xff}, [8]byte{7: 2}
	r.TraceState = []byte("vendor=1,ot=th:8;rv:ffffffffffffff")
	spans := spansOf(t, b, r)
	root := spans[0]
	assert.Equal(t, byte(1), root.TraceId[0], "root has trace %x", root.TraceId)
	assert.Equal(t, r.ParentSpanID[:], root.ParentSpanId)
	for i, s := range spans {
		assert.Equal(t, "ot=th:0;rv:ffffffffffffff,vendor=1", s.TraceState, "span %d has tracestate %q", i, s.TraceState)
		remote := s.Flags&uint32(tracepb.SpanFlags_SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK) != 0
		assert.Equal(t, i == 0, remote, "span %d has flags %#x: only the parent of the first is remote", i, s.Flags)
		assert.NotZero(t, s.Flags&1, "span %d has flags %#x: it is sampled", i, s.Flags)
	}
}

func TestResourcePerService(t *testing.T) {
	b := newTestBuilder(t, false)
	first, second, third := sample(), sample(), sample()
	second.Service, third.Service = "", "shop"
	batch, spans := b.build(items(first, second, third))
	require.Len(t, batch, 2, "resources")
	require.Equal(t, 15, spans, "spans")
	shop, unknown := plain(batch[0].Resource.Attributes), plain(batch[1].Resource.Attributes)
	assert.Equal(t, "shop", shop["service.name"])
	assert.Equal(t, "unknown_service", unknown["service.name"])
	assert.NotEqual(t, shop["service.instance.id"], unknown["service.instance.id"], "resources %v and %v", shop, unknown)
	assert.Equal(t, "test", shop["deployment.environment.name"], "resource %v", shop)
	for _, key := range []string{"host.name", "service.instance.id", "telemetry.sdk.name", "telemetry.sdk.language", "telemetry.sdk.version"} {
		assert.NotNil(t, shop[key], "%s is missing from %v", key, shop)
	}
	again, _ := newTestBuilder(t, false).build(items(sample()))
	assert.Equal(t, shop, plain(again[0].Resource.Attributes), "another agent on this host describes the service otherwise")
}

func TestBytesThatAreNotUTF8StillMarshal(t *testing.T) {
	b, r := newTestBuilder(t, true), sample()
	bad := "a\xff\x00b"
	r.Path, r.Host, r.Method, r.Service, r.Error = []byte(bad), []byte(bad), bad, bad, bad
	r.Comm, r.TraceState = bad, []byte("x="+bad)
	r.Detail = &detail{query: bad, userAgent: bad, method: bad}
	r.Route = bad
	batch, _ := b.build(items(r))
	_, err := proto.Marshal(batch[0])
	require.NoError(t, err)
	assert.Equal(t, "a\uFFFD\x00b", plain(batch[0].ScopeSpans[0].Spans[0].Attributes)["url.path"])
}

func TestBuildLeavesNothingOfTheBatchBefore(t *testing.T) {
	b := newTestBuilder(t, true)
	failed := sample()
	failed.Status, failed.ParentSpanID, failed.Flags = 500, [8]byte{1}, request.Pipelined
	b.build(items(failed, sample(), sample()))
	clean := sample()
	got := spansOf(t, b, clean)
	fresh := spansOf(t, &builder{clock: b.clock, withQuery: true, resources: b.resources, scope: b.scope, groups: map[string]*tracepb.ResourceSpans{}}, clean)
	for i := range got {
		got[i].SpanId, fresh[i].SpanId = nil, nil // children's are random
		assert.True(t, proto.Equal(got[i], fresh[i]), "span %d differs from a fresh one:\n%v\n%v", i, got[i], fresh[i])
	}
}
