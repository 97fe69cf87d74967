package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/collectortest"
	"lapwing/agent/e2e/harness"
	"lapwing/probes/socket/survey"
)

// phaseNames are the INTERNAL children of a request's span, in order.
var phaseNames = []string{"queue", "parse", "app", "write_back"}

// TestExportToCollector runs the agent with a real Collector and compares every
// span tree that arrives with the record printed for the same request.
func TestExportToCollector(t *testing.T) {
	for _, protocol := range []string{"grpc", "http"} {
		t.Run(protocol, func(t *testing.T) {
			collector := collectortest.Start(t)
			endpoint := collector.HTTP
			if protocol == "grpc" {
				endpoint = collector.GRPC
				t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
			}
			server := startRefServer(t, filepath.Join(t.TempDir(), "truth.jsonl"))
			trace := harness.StartTrace(t, survey.PlanSocket, "--port", harness.Port(t, server.address), "--otlp-endpoint", endpoint)
			const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
			askOnce(t, server.address+"/sleep?ms=10", "")
			askOnce(t, server.address+"/nowhere", "")
			askOnce(t, server.address+"/fast", traceparent)
			trace.AwaitRecords(server.address, 3, handOut())
			records := trace.Finish()
			require.Equal(t, 3, len(records), "records")
			spans := collector.WaitSpans(t, 3*5)
			for _, r := range records {
				checkTree(t, r, spans)
			}
			// The records are printed when the connections of their requests
			// end.
			i := slices.IndexFunc(records, func(r harness.Record) bool { return r.Path == "/fast" })
			if assert.GreaterOrEqual(t, i, 0, "no request with a traceparent is among %+v", records) {
				assert.Equal(t, traceparent[3:35], records[i].TraceID, "the request with a traceparent is number %d of %+v", i, records)
				assert.Equal(t, traceparent[36:52], records[i].ParentSpanID, "the request with a traceparent is number %d of %+v", i, records)
			}
		})
	}
}

// askOnce sends one request on a connection of its own.
func askOnce(t *testing.T, target, traceparent string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, "http://"+target, nil)
	require.NoError(t, err)
	req.Close = true
	if traceparent != "" {
		req.Header.Set("traceparent", traceparent)
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err, "ask %s", target)
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
}

// checkTree compares the spans of one request with its record.
func checkTree(t *testing.T, r harness.Record, spans []collectortest.Span) {
	t.Helper()
	children := map[string]collectortest.Span{}
	var root collectortest.Span
	for _, s := range spans {
		switch {
		case s.SpanID == r.SpanID:
			root = s
		case s.ParentSpanID == r.SpanID:
			children[s.Name] = s
		}
	}
	arrived, err := r.Arrived()
	require.NoError(t, err)
	const serverSpan = "the SERVER span of %s is %+v"
	assert.Equal(t, 2, root.Kind, serverSpan, r.Path, root)
	assert.Equal(t, "GET", root.Name, serverSpan, r.Path, root)
	assert.Equal(t, r.TraceID, root.TraceID, serverSpan, r.Path, root)
	assert.Equal(t, r.ParentSpanID, root.ParentSpanID, serverSpan, r.Path, root)
	// The agent may adjust the wall clock between printing and exporting.
	off := time.Duration(int64(root.Start) - arrived.UnixNano())
	assert.LessOrEqual(t, off.Abs(), time.Millisecond, "the span of %s begins %v off the record", r.Path, off)
	assert.Equal(t, *r.Duration, int64(root.End-root.Start), "how many ns the span of %s lasts", r.Path)
	const attributes = "attributes of %s: %v"
	assert.Equal(t, r.Path, root.Attributes["url.path"], attributes, r.Path, root.Attributes)
	assert.Equal(t, fmt.Sprint(r.Status), fmt.Sprint(root.Attributes["http.response.status_code"]), attributes, r.Path, root.Attributes)
	assert.Equal(t, r.Service, root.Resource["service.name"], "service of %s", r.Path)
	at := root.Start
	for i, want := range []*int64{r.Queue, r.Parse, r.App, r.WriteBack} {
		child, ok := children[phaseNames[i]]
		assert.True(t, ok && child.Kind == 1 && child.Start == at && int64(child.End-child.Start) == *want,
			"phase %s of %s is %+v, want %d ns from %d", phaseNames[i], r.Path, child, *want, at)
		at = child.End
	}
	assert.Equal(t, root.End, at, "the phases of %s end %d ns before their request", r.Path, root.End-at)
}

// TestDaemon runs `lapwing run`. Everything that was seen must be delivered
// within five seconds after SIGTERM, and the agent's own counters must arrive
// as metrics.
func TestDaemon(t *testing.T) {
	collector := collectortest.Start(t)
	server := startRefServer(t, filepath.Join(t.TempDir(), "truth.jsonl"))
	config := filepath.Join(t.TempDir(), "lapwing.yaml")
	text := fmt.Sprintf("filter:\n  ports: [%s]\nexport:\n  otlp:\n    endpoint: %s\n    batch_delay: 1h\n    batch_size: 512\n",
		harness.Port(t, server.address), collector.HTTP)
	require.NoError(t, os.WriteFile(config, []byte(text), 0o600))
	agent := harness.Start(t, exec.Command(harness.Lapwing(t), "run", "--config", config))
	harness.Eventually(t, harness.Slow(20*time.Second), "the probes to be attached", func() bool {
		return strings.Contains(agent.Stderr(), "probes attached")
	})
	for range 20 {
		askOnce(t, server.address+"/fast", "")
	}
	begin := time.Now()
	err := agent.Stop()
	took := time.Since(begin)
	require.NoError(t, err, "how lapwing run ended:\n%s", agent.Stderr())
	assert.LessOrEqual(t, took, harness.Slow(5*time.Second), "the time that SIGTERM took")
	servers := 0
	for _, s := range collector.WaitSpans(t, 20*5) {
		if s.Kind == 2 {
			servers++
		}
	}
	assert.Equal(t, 20, servers, "SERVER spans")
	requests := 0.0
	for _, p := range collector.WaitPoints(t, 1) {
		if p.Metric == "lapwing.agent.requests" {
			requests = p.Value
		}
	}
	assert.Equal(t, 20.0, requests, "lapwing.agent.requests")
}

// TestReceiverAway exports to an address on which no process listens. The agent
// must continue to measure, end in time, and report how many traces were
// dropped.
func TestReceiverAway(t *testing.T) {
	server := startRefServer(t, filepath.Join(t.TempDir(), "truth.jsonl"))
	trace := harness.StartTrace(t, survey.PlanSocket, "--port", harness.Port(t, server.address),
		"--otlp-endpoint", "http://"+harness.FreeAddress(t))
	for range 10 {
		askOnce(t, server.address+"/fast", "")
	}
	trace.AwaitRecords(server.address, 10, handOut())
	assert.Equal(t, 10, len(trace.Finish()), "records")
	log := trace.Stderr()
	assert.True(t, strings.Contains(log, "10") && strings.Contains(log, "dropped by otlp"), "the dropped traces are not told:\n%s", log)
}
