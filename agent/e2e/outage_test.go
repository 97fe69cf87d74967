package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	colmetricspb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"lapwing/agent/e2e/harness"
)

// receiver is an OTLP receiver that can misbehave.
type receiver struct {
	mu       sync.Mutex
	answer   http.HandlerFunc
	requests map[string]uint64 // last count per service
	traced   map[string]bool   // requests that arrived as traces, by their spans
	dropped  uint64            // last count of dropped traces
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	answer := r.answer
	r.mu.Unlock()
	if answer != nil {
		answer(w, req)
		return
	}
	traces := new(coltracepb.ExportTraceServiceRequest)
	if strings.HasSuffix(req.URL.Path, "/v1/traces") && proto.Unmarshal(body, traces) == nil {
		r.takeTraces(traces)
	}
	message := new(colmetricspb.ExportMetricsServiceRequest)
	if strings.HasSuffix(req.URL.Path, "/v1/metrics") && proto.Unmarshal(body, message) == nil {
		r.take(message)
	}
}

func (r *receiver) take(message *colmetricspb.ExportMetricsServiceRequest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rm := range message.ResourceMetrics {
		service := ""
		for _, kv := range rm.Resource.Attributes {
			if kv.Key == "service.name" {
				service = kv.Value.GetStringValue()
			}
		}
		for _, m := range rm.ScopeMetrics[0].Metrics {
			n := uint64(0)
			for _, p := range m.GetHistogram().GetDataPoints() {
				n += p.Count
			}
			for _, p := range m.GetSum().GetDataPoints() {
				n += uint64(p.GetAsInt())
			}
			switch m.Name {
			case "http.server.request.duration":
				r.requests[service] = n
			case "lapwing.agent.exporter.dropped":
				r.dropped = n
			}
		}
	}
}

// takeTraces records the spans of requests. A span that is sent again counts
// once.
func (r *receiver) takeTraces(message *coltracepb.ExportTraceServiceRequest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rs := range message.ResourceSpans {
		for _, ss := range rs.ScopeSpans {
			for _, s := range ss.Spans {
				if s.Kind == tracepb.Span_SPAN_KIND_SERVER {
					r.traced[string(s.SpanId)] = true
				}
			}
		}
	}
}

func (r *receiver) set(answer http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

func (r *receiver) seen(service string) (requests, dropped uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.requests[service], r.dropped
}

// outages returns what a receiver can do wrong. In the first case it does not
// exist.
func outages() []http.HandlerFunc {
	return []http.HandlerFunc{
		func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/x-protobuf")
			w.WriteHeader(http.StatusTeapot)
			_, _ = w.Write([]byte("\xff\xff\xff"))
		},
	}
}

const batchSize = 16 // requests per upload

// TestReceiverOutage has a receiver that is down, then busy, then silent, then
// answers garbage, while a server gets requests all the time. After the
// receiver has recovered, every request must be in the metrics, and every
// missing trace must be counted. The memory of the agent must not have grown,
// and requests must not have taken longer than without the outage.
func TestReceiverOutage(t *testing.T) {
	server, address := startGunicorn(t), harness.FreeAddress(t)
	config := filepath.Join(t.TempDir(), "lapwing.yaml")
	writeFile(t, config, fmt.Sprintf(`filter: {ports: [%s]}
services: [{name: back, cmdline: application:app}]
export:
  otlp:
    endpoint: http://%s
    timeout: 300ms
    queue_size: 512
    batch_size: %d
    batch_delay: 50ms
    retry: {initial_interval: 50ms, max_interval: 200ms, max_elapsed: 500ms}
    metrics: {interval: 200ms}
    sampling: {max_spans_per_second: 0}
`, harness.Port(t, server.address), address, batchSize))
	agent := harness.StartDaemon(t, "--config", config)
	total := 0
	var ill []time.Duration
	during := func(long time.Duration) (took []time.Duration) {
		for until := time.Now().Add(long); time.Now().Before(until); total++ {
			begin := time.Now()
			askOnce(t, server.address+"/fast/"+strconv.Itoa(total), "")
			took = append(took, time.Since(begin))
		}
		return took
	}
	ill = append(ill, during(downTime(t))...)
	r := &receiver{requests: map[string]uint64{}, traced: map[string]bool{}}
	outage := outages()
	r.set(outage[0])
	l, err := net.Listen("tcp", address)
	require.NoError(t, err)
	web := &http.Server{Handler: r}
	go func() { _ = web.Serve(l) }() // ends with Close
	t.Cleanup(func() { _ = web.Close() })
	before := harness.Resident(t, agent.PID())
	for _, answer := range outage {
		r.set(answer)
		ill = append(ill, during(badTime)...)
	}
	r.set(nil)
	well := during(badTime)
	harness.Eventually(t, 20*time.Second, "every request in the metrics", func() bool {
		n, _ := r.seen("back")
		return n == uint64(total)
	})
	assert.Less(t, harness.Resident(t, agent.PID()), before+32<<20, "the agent's memory")
	assert.Less(t, median(ill), 2*median(well)+time.Millisecond, "clients felt the outage")
	assert.NoError(t, agent.Stop())
	_, dropped := r.seen("back")
	assert.Positive(t, dropped, "traces were dropped, and counted")
	got := uint64(len(r.traced))
	assert.Greater(t, got, uint64(len(well)/2), "traces come again")
	assert.GreaterOrEqual(t, got+dropped, uint64(total), "a trace is neither there nor counted")
	assert.LessOrEqual(t, got+dropped, uint64(total+batchSize), "only a batch whose answer came too late is both")
}

// badTime is how long each kind of bad response lasts.
const badTime = 2 * time.Second

// downTime returns how long no process listens: LAPWING_OUTAGE=2m makes it
// long.
func downTime(t *testing.T) time.Duration {
	t.Helper()
	long := os.Getenv("LAPWING_OUTAGE")
	if long == "" {
		return badTime
	}
	d, err := time.ParseDuration(long)
	require.NoError(t, err)
	return d
}

func median(of []time.Duration) time.Duration {
	slices.Sort(of)
	return of[len(of)/2]
}
