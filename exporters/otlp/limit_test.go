package otlp

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	colmetricspb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"lapwing/exporters/health"
	"lapwing/exporters/metrics"
)

var allProtocols = []string{ProtocolGRPC, ProtocolHTTPProtobuf, ProtocolHTTPJSON}

// sizes is a receiver that records the sizes of uploads.
type sizes struct {
	coltracepb.UnimplementedTraceServiceServer
	mu      sync.Mutex
	uploads int
	largest int
	spans   int
	points  map[string]int // values, by metric
	bodies  []string       // of JSON
}

func (s *sizes) add(size int, m proto.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uploads++
	s.largest = max(s.largest, size)
	switch m := m.(type) {
	case *coltracepb.ExportTraceServiceRequest:
		s.spans += countSpans(m)
	case *colmetricspb.ExportMetricsServiceRequest:
		for _, rm := range m.ResourceMetrics {
			for _, sm := range rm.ScopeMetrics {
				for _, metric := range sm.Metrics {
					s.points[metric.Name] += len(metric.GetSum().GetDataPoints()) + len(metric.GetHistogram().GetDataPoints()) + len(metric.GetExponentialHistogram().GetDataPoints())
				}
			}
		}
	}
}

func (s *sizes) Export(_ context.Context, m *coltracepb.ExportTraceServiceRequest) (*coltracepb.ExportTraceServiceResponse, error) {
	s.add(proto.Size(m), m)
	return new(coltracepb.ExportTraceServiceResponse), nil
}

type metricSizes struct {
	colmetricspb.UnimplementedMetricsServiceServer
	*sizes
}

func (s metricSizes) Export(_ context.Context, m *colmetricspb.ExportMetricsServiceRequest) (*colmetricspb.ExportMetricsServiceResponse, error) {
	s.add(proto.Size(m), m)
	return new(colmetricspb.ExportMetricsServiceResponse), nil
}

func (s *sizes) serve(t *testing.T) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		body := readBody(t, req)
		var m proto.Message = new(coltracepb.ExportTraceServiceRequest)
		if req.URL.Path == "/v1/metrics" {
			m = new(colmetricspb.ExportMetricsServiceRequest)
		}
		err := fmt.Errorf("type %s", req.Header.Get("Content-Type"))
		switch req.Header.Get("Content-Type") {
		case "application/json":
			// Identifiers in hex decode as base64 of something else, which does
			// not matter here.
			err = protojson.Unmarshal(body, m)
			s.mu.Lock()
			s.bodies = append(s.bodies, string(body))
			s.mu.Unlock()
		case "application/x-protobuf":
			err = proto.Unmarshal(body, m)
		}
		assert.NoError(t, err)
		s.add(len(body), m)
		w.Header().Set("Content-Type", req.Header.Get("Content-Type"))
		if req.Header.Get("Content-Type") == "application/json" {
			_, _ = w.Write([]byte("{}"))
		}
	}
}

func startSizes(t *testing.T, protocol string) (*sizes, Config) {
	t.Helper()
	clearEnv(t)
	s := &sizes{points: map[string]int{}}
	c := DefaultConfig()
	c.Protocol, c.BatchDelay = protocol, 5*time.Millisecond
	if protocol != ProtocolGRPC {
		server := httptest.NewServer(s.serve(t))
		t.Cleanup(server.Close)
		c.Endpoint = server.URL
		return s, c
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer(grpc.MaxRecvMsgSize(64 << 20))
	coltracepb.RegisterTraceServiceServer(server, s)
	colmetricspb.RegisterMetricsServiceServer(server, metricSizes{sizes: s})
	go func() { _ = server.Serve(listener) }() // ends with Stop
	t.Cleanup(server.Stop)
	c.Endpoint = "http://" + listener.Addr().String()
	return s, c
}

// TestLargeBatchesAreDivided has requests that are eight megabytes per batch,
// some of which are each larger than the limit of an upload.
func TestLargeBatchesAreDivided(t *testing.T) {
	for _, protocol := range allProtocols {
		for _, compression := range []string{CompressionNone, CompressionGzip} {
			t.Run(protocol+" "+compression, func(t *testing.T) {
				r, c := startSizes(t, protocol)
				c.Compression, c.Sampling.MaxSpansPerSecond = compression, 0
				e, l := newExporter(t, c)
				const ordinary, large = 60, 3
				for i := range ordinary + large {
					req := sample()
					req.Path = []byte("/" + strings.Repeat("p", 40<<10))
					if i%21 == 5 {
						req.Path = []byte("/" + strings.Repeat("p", 2<<20))
					}
					e.Trace(req)
				}
				require.NoError(t, shutdown(t, e))
				wantDropped(t, e, map[string]uint64{"too_large": large})
				assert.Equal(t, ordinary*5, r.spans)
				assert.LessOrEqual(t, r.largest, 1<<20)
				assert.Less(t, r.uploads, 40, "no more parts than needed, about")
				assert.Zero(t, l.count("WARN"))
			})
		}
	}
}

// TestLargeMetricsAreDivided has one service with so many label sets that its
// metrics are several megabytes, and one with a value that is too large.
func TestLargeMetricsAreDivided(t *testing.T) {
	for _, protocol := range allProtocols {
		for _, histograms := range []string{HistogramsExplicit, HistogramsExponential} {
			t.Run(protocol+" "+histograms, func(t *testing.T) {
				r, c := startSizes(t, protocol)
				c.Metrics.Interval, c.Metrics.Histograms = time.Hour, histograms
				a := metrics.New(metrics.Config{MaxLabelSets: 2000, MaxSeries: metrics.MaxSeries})
				const sets = 150
				for i := range sets {
					req := sample()
					req.Route = fmt.Sprintf("/%02000d", i)
					a.Export(req)
				}
				a.AddSource(metrics.SourceFunc(func(s *metrics.Snapshot) {
					s.Add(metrics.Of(health.Lost), "", time.Now(), 1, metrics.KeyCause.String(strings.Repeat("c", 2<<20)))
				}))
				m := pushTo(t, c, a, new(logs))
				require.NoError(t, m.Shutdown(context.Background()))
				assert.Equal(t, map[string]uint64{"too_large": 1}, m.Dropped())
				assert.Equal(t, sets, r.points["http.server.request.duration"])
				assert.Equal(t, 4*sets, r.points["lapwing.request.phase.duration"])
				assert.NotZero(t, r.points["lapwing.agent.metrics.label_sets"])
				assert.Zero(t, r.points["lapwing.agent.requests.lost"])
				assert.LessOrEqual(t, r.largest, 1<<20)
				assert.Greater(t, r.uploads, 3)
			})
		}
	}
}

// TestMetricsAsJSON reads the JSON with a reader that knows nothing of protobuf.
func TestMetricsAsJSON(t *testing.T) {
	r, c := startSizes(t, ProtocolHTTPJSON)
	c.Metrics.Interval = time.Hour
	require.NoError(t, pushTo(t, c, counted(3, `a"traceId":"AAAA"b`), new(logs)).Shutdown(context.Background()))
	type point struct {
		Count     string
		Exemplars []struct{ TraceID, SpanID string }
	}
	found := false
	for _, body := range r.bodies {
		var upload struct {
			ResourceMetrics []struct {
				Resource struct {
					Attributes []struct {
						Key   string
						Value struct{ StringValue string }
					}
				}
				ScopeMetrics []struct {
					Metrics []struct {
						Name      string
						Histogram *struct {
							AggregationTemporality int
							DataPoints             []point
						}
					}
				}
			}
		}
		require.NoError(t, json.Unmarshal([]byte(body), &upload))
		for _, rm := range upload.ResourceMetrics {
			names := map[string]string{}
			for _, kv := range rm.Resource.Attributes {
				names[kv.Key] = kv.Value.StringValue
			}
			if names["service.name"] == "lapwing" {
				continue
			}
			assert.Equal(t, `a"traceId":"AAAA"b`, names["service.name"])
			for _, metric := range rm.ScopeMetrics[0].Metrics {
				if metric.Name != "http.server.request.duration" {
					continue
				}
				found = true
				assert.Equal(t, 2, metric.Histogram.AggregationTemporality, "a number, as OTLP wants it")
				assert.Equal(t, "3", metric.Histogram.DataPoints[0].Count)
				require.Len(t, metric.Histogram.DataPoints[0].Exemplars, 1)
				assert.Equal(t, "01000000000000000000000000000000", metric.Histogram.DataPoints[0].Exemplars[0].TraceID)
				assert.Equal(t, "0200000000000000", metric.Histogram.DataPoints[0].Exemplars[0].SpanID)
			}
		}
	}
	assert.True(t, found)
}
