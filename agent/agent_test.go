package agent

import (
	"context"
	"io"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/config"
	"lapwing/collectors/request"
	"lapwing/collectors/service"
	"lapwing/exporters/health"
)

func newAgent(t *testing.T, cfg config.Config) *Agent {
	a, err := New(cfg, request.NewClock(), slog.New(slog.NewTextHandler(io.Discard, nil)))
	require.NoError(t, err)
	return a
}

func TestPortsOfTheFilterLimitTheProbes(t *testing.T) {
	cfg := config.Default()
	cfg.Filter.Ports = []uint16{80}
	assert.Equal(t, []uint16{80}, newAgent(t, cfg).ports())
	cfg.Probes.Ports = []uint16{8080}
	assert.Equal(t, []uint16{8080}, newAgent(t, cfg).ports(), "what is said of the probes wins")
	cfg.Probes.Ports, cfg.Filter.Ports = nil, make([]uint16, 17)
	assert.Empty(t, newAgent(t, cfg).ports(), "more than the probes take: the filter alone decides")
}

func TestBadRuleIsAnError(t *testing.T) {
	cfg := config.Default()
	cfg.Services = []service.Rule{{Name: "shop", Exe: "[", Port: 80}}
	_, err := New(cfg, request.NewClock(), slog.Default())
	assert.ErrorContains(t, err, "name services")
}

func TestHealthBeforeTheProbesAreAttached(t *testing.T) {
	h := newAgent(t, config.Default()).Health()
	for _, c := range health.Table {
		assert.Zero(t, h.Total(c), c.Key)
	}
}

type counting struct{ n int }

func (c *counting) Export(*request.Request)        { c.n++ }
func (c *counting) Shutdown(context.Context) error { return nil }

func TestEveryExporterGetsEveryRequest(t *testing.T) {
	a := newAgent(t, config.Default())
	one, two := &counting{}, &counting{}
	a.Add("one", one)
	a.Add("two", two)
	for range 3 {
		a.export(&request.Request{})
	}
	assert.Equal(t, 3, one.n)
	assert.Equal(t, 3, two.n)
}

type tracing struct {
	counting
	spans []([8]byte)
}

func (t *tracing) Trace(r *request.Request) bool {
	t.spans = append(t.spans, r.SpanID)
	return false
}

// TestTracersSeeTheSameIdentifiers has two tracers.
func TestTracersSeeTheSameIdentifiers(t *testing.T) {
	a := newAgent(t, config.Default())
	one, two := &tracing{}, &tracing{}
	a.AddTracer("one", one)
	a.AddTracer("two", two)
	for range 3 {
		a.export(&request.Request{})
	}
	require.Len(t, one.spans, 3)
	assert.NotContains(t, one.spans, [8]byte{})
	assert.Equal(t, one.spans, two.spans)
	assert.Zero(t, one.n, "it is no exporter besides")
}
