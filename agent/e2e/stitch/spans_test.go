package stitch

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"lapwing/agent/e2e/harness"
	"lapwing/probes/socket/survey"
)

// TestSpans always requests the same path. The number of a request is in its
// query, which the agent exports here but does not use for joins. The spans
// that arrive must form complete trees.
func TestSpans(t *testing.T) {
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		t.Run("nginx, gunicorn gthread, kept connections", func(t *testing.T) {
			back := startGunicorn(t, harness.FreeAddress(t), "--workers", "2", "--threads", "8", "--keep-alive", "60")
			h := numbered(startNginx(t, proxy("http://"+back, true)), back)
			h.path = "/same?id=%d"
			testSpans(t, plan, h)
		})
		t.Run("refserver prefork, downstream", func(t *testing.T) {
			back := startGunicorn(t, harness.FreeAddress(t), "--workers", "4")
			h := numbered(startRefServer(t, "--arch", "prefork", "--workers", "16", "--keepalive", "50ms"), back)
			h.path = "/downstream?id=%[1]d&url=http://" + back + "/same%%3Fid%%3D%[1]d"
			testSpans(t, plan, h)
		})
	})
}

func testSpans(t *testing.T, plan survey.Plan, h hops) {
	n := requests(t)
	r := newReceiver(t)
	t.Setenv("LAPWING_EXPORT_OTLP_URL_QUERY", "true")
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
	t.Setenv("LAPWING_EXPORT_OTLP_SAMPLING_MAX_SPANS_PER_SECOND", "0")
	t.Setenv("LAPWING_EXPORT_OTLP_QUEUE_SIZE", "65536")
	trace := harness.StartTrace(t, plan, "--otlp-endpoint", r.URL)
	ask(t, h, n)
	awaitAll(trace, h, n)
	trace.Finish()
	got := r.judge(t, harness.Port(t, h.addresses[1]), n)
	t.Logf("| %s | | %s | %d | %d | %d |", t.Name(), plan, got.right, got.wrong, got.unjoined)
	assert.True(t, got.wrong == 0 && got.unseen <= 0 && got.unjoined <= coldStart+n/100, "%+v", got)
}

// receiver accepts spans like any receiver.
type receiver struct {
	*httptest.Server
	mu    sync.Mutex
	spans map[string]*tracepb.Span
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{spans: make(map[string]*tracepb.Span)}
	r.Server = httptest.NewServer(http.HandlerFunc(r.take))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) take(w http.ResponseWriter, q *http.Request) {
	body := io.Reader(q.Body)
	if q.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(q.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = unzipped
	}
	raw, err := io.ReadAll(body)
	var data coltracepb.ExportTraceServiceRequest
	if err != nil || (strings.HasSuffix(q.URL.Path, "/traces") && proto.Unmarshal(raw, &data) != nil) {
		http.Error(w, "not a trace", http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, resource := range data.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			for _, s := range scope.Spans {
				r.spans[string(s.SpanId)] = s
			}
		}
	}
}

// judge follows each request at the back end up to the one that caused it.
func (r *receiver) judge(t *testing.T, port string, n int) (o outcome) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := 0
	for _, s := range r.spans {
		if s.Kind != tracepb.Span_SPAN_KIND_SERVER || text(s, "network.local.port") != port {
			continue
		}
		seen++
		if len(s.ParentSpanId) == 0 {
			o.unjoined++
			continue
		}
		root, err := r.climb(s)
		switch {
		case !assert.NoError(t, err, "request %s", query(s)):
			o.wrong++
		case query(root) != query(s):
			o.wrong++
		default:
			o.right++
		}
	}
	o.unseen = n - seen
	return o
}

// climb goes from a SERVER span over the call and its phase to the SERVER span
// above. All must belong to one trace and lie within each other.
func (r *receiver) climb(s *tracepb.Span) (*tracepb.Span, error) {
	for _, kind := range []tracepb.Span_SpanKind{
		tracepb.Span_SPAN_KIND_CLIENT, tracepb.Span_SPAN_KIND_INTERNAL, tracepb.Span_SPAN_KIND_SERVER,
	} {
		parent := r.spans[string(s.ParentSpanId)]
		switch {
		case parent == nil:
			return nil, fmt.Errorf("the parent of a %s span never came", s.Kind)
		case parent.Kind != kind:
			return nil, fmt.Errorf("above %s is %s %s, want %s", s.Kind, parent.Kind, parent.Name, kind)
		case string(parent.TraceId) != string(s.TraceId):
			return nil, fmt.Errorf("%s and its parent are of two traces", s.Kind)
		case parent.StartTimeUnixNano > s.StartTimeUnixNano+slack:
			return nil, fmt.Errorf("%s began %d ns before its parent", s.Kind, parent.StartTimeUnixNano-s.StartTimeUnixNano)
		}
		s = parent
	}
	return s, nil
}

// slack is the possible difference of the wall clock of two spans, in
// nanoseconds. The clock is read once per request and adjusted every few
// seconds.
const slack = 1_000_000

// query returns the number of a request.
func query(s *tracepb.Span) string {
	number, _, _ := strings.Cut(text(s, "url.query"), "&")
	return number
}

func text(s *tracepb.Span, key string) string {
	for _, a := range s.Attributes {
		if a.Key != key {
			continue
		}
		if v, ok := a.Value.Value.(*commonpb.AnyValue_IntValue); ok {
			return fmt.Sprint(v.IntValue)
		}
		return a.Value.GetStringValue()
	}
	return ""
}
