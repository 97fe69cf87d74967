package otlp

import (
	"context"
	"encoding/hex"
	"reflect"
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
	if len(batch) != 1 || len(batch[0].ScopeSpans) != 1 {
		t.Fatalf("want one resource with one scope, got %v", batch)
	}
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
		if !reflect.DeepEqual(have[key], value) {
			t.Errorf("%s: %s = %#v, want %#v", what, key, have[key], value)
		}
	}
	for key := range have {
		if _, ok := want[key]; !ok {
			t.Errorf("%s: %s = %#v is not expected", what, key, have[key])
		}
	}
}

func TestRootSpan(t *testing.T) {
	b := newTestBuilder(t, false)
	r := sample()
	r.Flags = request.Pipelined | request.Streamed
	root := spansOf(t, b, r)[0]
	if root.Kind != tracepb.Span_SPAN_KIND_SERVER || root.Name != "GET" {
		t.Errorf("root is %v %q, want a SERVER span named GET", root.Kind, root.Name)
	}
	if root.StartTimeUnixNano != uint64(b.clock.UnixNano(r.Arrived)) || root.EndTimeUnixNano != uint64(b.clock.UnixNano(r.WriteLast)) {
		t.Errorf("root spans %d to %d, want arrived to write_last", root.StartTimeUnixNano, root.EndTimeUnixNano)
	}
	if hex.EncodeToString(root.TraceId) != hex.EncodeToString(r.TraceID[:]) || string(root.SpanId) != string(r.SpanID[:]) || root.ParentSpanId != nil {
		t.Errorf("root has identifiers %x %x %x", root.TraceId, root.SpanId, root.ParentSpanId)
	}
	if root.Status != nil {
		t.Errorf("status is %v, want it unset", root.Status)
	}
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
		if s.Name != w.name || s.Kind != tracepb.Span_SPAN_KIND_INTERNAL {
			t.Errorf("span %d is %v %q, want INTERNAL %q", i+1, s.Kind, s.Name, w.name)
		}
		if string(s.ParentSpanId) != string(root.SpanId) || string(s.TraceId) != string(root.TraceId) {
			t.Errorf("%s is not a child of the request", w.name)
		}
		if s.StartTimeUnixNano != uint64(b.clock.UnixNano(w.from)) || s.EndTimeUnixNano != uint64(b.clock.UnixNano(w.to)) {
			t.Errorf("%s spans %d to %d", w.name, s.StartTimeUnixNano, s.EndTimeUnixNano)
		}
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
			if got, want := spans[0].EndTimeUnixNano, uint64(b.clock.UnixNano(test.end(r))); got != want {
				t.Errorf("the request ends at %d, want %d", got, want)
			}
			var children []string
			for _, s := range spans[1:] {
				children = append(children, s.Name)
			}
			assert.Equal(t, test.children, children)
			if spans[0].Status.GetCode() != tracepb.Status_STATUS_CODE_ERROR || plain(spans[0].Attributes)["error.type"] != "connection_reset" {
				t.Errorf("status %v, attributes %v: want the error", spans[0].Status, plain(spans[0].Attributes))
			}
		})
	}
}

func TestSpanWithoutArrivalStartsAtTheFirstStamp(t *testing.T) {
	b, r := newTestBuilder(t, false), sample()
	r.Arrived, r.ReadFirst, r.ReadLast, r.Flags = 0, 0, 0, request.Orphan
	spans := spansOf(t, b, r)
	if len(spans) != 1 || spans[0].StartTimeUnixNano != uint64(b.clock.UnixNano(r.WriteFirst)) {
		t.Errorf("got %v, want one span from write_first on", spans)
	}
}

func TestIncomingContextIsContinued(t *testing.T) {
	b, r := newTestBuilder(t, false), sample()
	r.TraceID, r.ParentSpanID = [16]byte{1, 15: 0xff}, [8]byte{7: 2}
	r.TraceState = []byte("vendor=1,ot=th:8;rv:ffffffffffffff")
	spans := spansOf(t, b, r)
	root := spans[0]
	if root.TraceId[0] != 1 || string(root.ParentSpanId) != string(r.ParentSpanID[:]) {
		t.Errorf("root has trace %x and parent %x", root.TraceId, root.ParentSpanId)
	}
	for i, s := range spans {
		assert.Equal(t, "ot=th:0;rv:ffffffffffffff,vendor=1", s.TraceState, "span %d has tracestate %q", i, s.TraceState)
		if remote := s.Flags&uint32(tracepb.SpanFlags_SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK) != 0; remote != (i == 0) || s.Flags&1 == 0 {
			t.Errorf("span %d has flags %#x", i, s.Flags)
		}
	}
}

func TestResourcePerService(t *testing.T) {
	b := newTestBuilder(t, false)
	first, second, third := sample(), sample(), sample()
	second.Service, third.Service = "", "shop"
	batch, spans := b.build(items(first, second, third))
	if len(batch) != 2 || spans != 15 {
		t.Fatalf("%d resources, %d spans: want 2 and 15", len(batch), spans)
	}
	shop, unknown := plain(batch[0].Resource.Attributes), plain(batch[1].Resource.Attributes)
	if shop["service.name"] != "shop" || unknown["service.name"] != "unknown_service" {
		t.Errorf("services %v and %v", shop["service.name"], unknown["service.name"])
	}
	if shop["service.instance.id"] == unknown["service.instance.id"] || shop["deployment.environment.name"] != "test" {
		t.Errorf("resources %v and %v", shop, unknown)
	}
	for _, key := range []string{"host.name", "service.instance.id", "telemetry.sdk.name", "telemetry.sdk.language", "telemetry.sdk.version"} {
		if shop[key] == nil {
			t.Errorf("%s is missing from %v", key, shop)
		}
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
	if got := plain(batch[0].ScopeSpans[0].Spans[0].Attributes)["url.path"]; got != "a\uFFFD\x00b" {
		t.Errorf("url.path is %q", got)
	}
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
		if !proto.Equal(got[i], fresh[i]) {
			t.Errorf("span %d differs from a fresh one:\n%v\n%v", i, got[i], fresh[i])
		}
	}
}
