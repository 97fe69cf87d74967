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
	"lapwing/exporters"
	"lapwing/exporters/metrics"
	"lapwing/exporters/otlp"
)

// allFamilies is an aggregator with a point in every family: from requests
// where those make it, else from a source.
func allFamilies(r ...*request.Request) *metrics.Aggregator {
	a := metrics.New(metrics.DefaultConfig())
	a.AddSource(metrics.Health(func() exporters.Health {
		return exporters.Health{
			Requests: 12, Lost: map[string]uint64{"ring_full": 3}, MissedStart: map[string]uint64{"queued": 1},
			Unjoined: map[string]uint64{"ambiguous": 1}, CallsUnjoined: map[string]uint64{"no_request": 1},
			Unknown: map[string]uint64{"tls": 1}, Dropped: map[string]map[string]uint64{"otlp": {"queue_full": 1}},
		}
	}))
	fromHealth := map[*metrics.Family]bool{
		metrics.AgentRequests: true, metrics.AgentIncomplete: true, metrics.AgentLost: true, metrics.AgentSkipped: true, metrics.AgentMissed: true,
		metrics.AgentUnknown: true, metrics.AgentTunnels: true, metrics.AgentDropped: true, metrics.AgentLabelSets: true,
		metrics.AgentJoined: true, metrics.AgentUnjoined: true, metrics.AgentCallsJoined: true, metrics.AgentCallsUnjoined: true,
		metrics.AgentOverflow: true, metrics.AgentUntimed: true, metrics.AgentUnsplit: true,
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
		if r.Traced {
			a.Remember(r)
		}
	}
	return a
}

type heads struct{}

func (heads) HeadSizes() (int, int) { return 100, 100 }
func (heads) Clone() request.Detail { return heads{} }

// TestCollectorTakesAllMetrics pushes every metric there is, with both kinds of
// histograms, and reads back what a real Collector made of them.
func TestCollectorTakesAllMetrics(t *testing.T) {
	for _, kind := range []string{otlp.HistogramsExplicit, otlp.HistogramsExponential} {
		t.Run(kind, func(t *testing.T) {
			collector := collectortest.Start(t)
			c := otlp.DefaultConfig()
			c.Endpoint, c.Protocol, c.Metrics.Histograms = collector.GRPC, otlp.ProtocolGRPC, kind
			traced := finished("nginx")
			traced.Detail, traced.Traced, traced.TraceID, traced.SpanID = heads{}, true, [16]byte{1}, [8]byte{2}
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
