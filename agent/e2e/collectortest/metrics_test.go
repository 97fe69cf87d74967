package collectortest_test

import (
	"context"
	"encoding/hex"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/collectortest"
	"lapwing/collectors/request"
	"lapwing/exporters/health"
	"lapwing/exporters/metrics"
	"lapwing/exporters/otlp"
)

// allFamilies returns an aggregator with a point in every family: from requests
// if they produce it, otherwise from a source.
func allFamilies(r ...*request.Request) *metrics.Aggregator {
	a := metrics.New(metrics.DefaultConfig())
	a.AddSource(metrics.Health(func() health.Health {
		h := health.Health{}
		for _, c := range health.Table {
			h[c] = health.Of(12)
			if len(c.By) > 0 {
				h[c] = health.Counts{{"one", "other"}: 3}
			}
		}
		return h
	}))
	fromHealth := map[*metrics.Family]bool{
		metrics.AgentLabelSets: true, metrics.AgentOverflow: true, metrics.AgentUntimed: true, metrics.AgentUnsplit: true,
	}
	for _, c := range health.Table {
		fromHealth[metrics.Of(c)] = true // nil, for a counter without a metric, is in no list
	}
	a.AddSource(metrics.SourceFunc(func(s *metrics.Snapshot) {
		for _, f := range metrics.Families() {
			if f.Kind != metrics.KindHistogram && !fromHealth[f] {
				s.Add(f, "nginx", time.Now(), 2, metrics.KeyState.String("any"))
			}
		}
	}))
	for _, r := range r {
		a.Export(r)
		if r.SpanID != [8]byte{} {
			a.Remember(r)
		}
	}
	return a
}

type heads struct{}

func (heads) HeadSizes() (int, int) { return 100, 100 }
func (heads) Clone() request.Detail { return heads{} }

// TestCollectorTakesAllMetrics pushes every metric, with both types of
// histograms, in protobuf and in JSON, and reads back what a real Collector
// received.
func TestCollectorTakesAllMetrics(t *testing.T) {
	for _, tt := range []struct{ kind, protocol, compression string }{
		{otlp.HistogramsExplicit, otlp.ProtocolGRPC, ""},
		{otlp.HistogramsExponential, otlp.ProtocolGRPC, ""},
		{otlp.HistogramsExplicit, otlp.ProtocolHTTPJSON, ""},
		{otlp.HistogramsExponential, otlp.ProtocolHTTPJSON, otlp.CompressionGzip},
	} {
		t.Run(tt.kind+" "+tt.protocol, func(t *testing.T) {
			collector := collectortest.Start(t)
			c := otlp.DefaultConfig()
			c.Endpoint, c.Protocol, c.Compression, c.Metrics.Histograms = collector.GRPC, tt.protocol, tt.compression, tt.kind
			if tt.protocol != otlp.ProtocolGRPC {
				c.Endpoint = collector.HTTP
			}
			traced := finished("nginx")
			traced.Detail, traced.TraceID, traced.SpanID = heads{}, [16]byte{1}, [8]byte{2}
			a := allFamilies(traced, reset("nginx"))
			m, err := otlp.NewMetrics(c, a.Read, request.NewClock(), slog.New(slog.DiscardHandler))
			require.NoError(t, err)
			require.NoError(t, m.Shutdown(context.Background()))
			points := collector.WaitPoints(t, len(metrics.Families()))

			assert.Empty(t, collector.Complaints())
			byName := map[string][]collectortest.Point{}
			for _, p := range points {
				byName[p.Metric] = append(byName[p.Metric], p)
			}
			for _, f := range metrics.Families() {
				if assert.NotEmpty(t, byName[f.Name], f.Name) {
					assert.Equal(t, f.Unit, byName[f.Name][0].Unit, f.Name)
				}
			}
			checkDurations(t, byName, traced)
			assert.Equal(t, "lapwing", byName["lapwing.agent.requests"][0].Resource["service.name"])
		})
	}
}

func checkDurations(t *testing.T, byName map[string][]collectortest.Point, traced *request.Request) {
	t.Helper()
	var requests uint64
	var duration, phases float64
	var traces []string
	for _, p := range byName["http.server.request.duration"] {
		assert.Equal(t, "nginx", p.Resource["service.name"])
		assert.Positive(t, p.Buckets)
		requests += p.Count
		duration += p.Value
		traces = append(traces, p.TraceIDs...)
	}
	for _, p := range byName["lapwing.request.phase.duration"] {
		phases += p.Value
	}
	assert.EqualValues(t, 2, requests)
	assert.InDelta(t, duration, phases, duration*1e-12)
	assert.Equal(t, []string{hex.EncodeToString(traced.TraceID[:])}, traces, "exemplars are of traces")
}
