package e2e

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
	"lapwing/agent/e2e/tempotest"
	"lapwing/dashboards"
	"lapwing/dashboards/interpolate"
)

func withValues(values ...string) interpolate.Variable {
	return interpolate.Variable{Values: values, Multi: true}
}

// traceQuery wants traces from a TraceQL query, spans in each, and the
// attributes that it selects.
func (o *watched) traceQuery(t *testing.T, c interpolate.Choice, p *dashboards.Panel, target dashboards.Target) {
	t.Helper()
	c.Variables["trace"] = interpolate.Variable{Values: []string{o.anyTrace(t)}}
	query, err := c.TraceQL(target.Query)
	require.NoError(t, err)
	if target.Query == "${trace}" {
		assert.GreaterOrEqual(t, o.tempo.Spans(t, query), 10, "two requests with four phases each")
		return
	}
	traces := o.search(t, query)
	require.NotEmpty(t, traces, query)
	seen := map[string]bool{}
	for _, trace := range traces {
		require.NotEmpty(t, trace.SpanSets, query)
		for _, span := range trace.SpanSets[0].Spans {
			for _, a := range span.Attributes {
				seen[a.Key] = true
			}
			o.checkSpan(t, p, span)
		}
	}
	for _, key := range selected(query) {
		assert.True(t, seen[key], "%s is in no span: %s", key, query)
	}
}

// checkSpan holds a found span against what the panel asks for.
func (o *watched) checkSpan(t *testing.T, p *dashboards.Panel, span tempotest.Span) {
	t.Helper()
	status := -1
	for _, a := range span.Attributes {
		if a.Key == "http.response.status_code" {
			status = atoi(a.Value["intValue"])
		}
	}
	switch p.Title {
	case "Which requests failed?":
		assert.Equal(t, 503, status)
	case "Which requests took long?", "Which requests waited long for a worker?":
		assert.Greater(t, span.Duration(), time.Millisecond)
	case "Which other requests are like it?":
		assert.GreaterOrEqual(t, span.Duration(), 60*time.Millisecond, "the route that sleeps")
	}
}

func atoi(v any) (n int) {
	text, _ := v.(string)
	for _, digit := range text {
		n = n*10 + int(digit-'0')
	}
	return n
}

// optional are the parts that a request of this test need not have.
const optional = "lapwing.queue.backlog lapwing.queue.dispatch lapwing.parse.client_wait lapwing.write_back.blocked lapwing.write_back.produce"

// selected are the attributes that a query asks for and a span must have.
func selected(query string) (keys []string) {
	_, list, _ := strings.Cut(query, "select(")
	for _, key := range strings.Split(strings.TrimSuffix(list, ")"), ",") {
		key = strings.TrimPrefix(strings.TrimPrefix(strings.TrimSpace(key), "span."), "resource.")
		if key != "" && !strings.Contains(optional, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// search waits until Tempo has something, which takes it a few seconds.
func (o *watched) search(t *testing.T, query string) (traces []tempotest.Trace) {
	t.Helper()
	harness.Within(20*time.Second, func() bool {
		traces = o.tempo.Search(t, query, o.from.Add(-10*time.Second), o.to.Add(10*time.Second))
		return len(traces) > 0
	})
	return traces
}

// anyTrace is a trace that goes through both servers, in the form that Tempo
// lists it: without leading zeros, which a comparison with trace:id takes.
func (o *watched) anyTrace(t *testing.T) string {
	t.Helper()
	if o.example == "" {
		traces := o.search(t, `{ resource.service.name = "front" && kind = server && span.http.route = "/sleep/{ms}/{n}" } && { resource.service.name = "back" && kind = server }`)
		require.NotEmpty(t, traces, "a trace through nginx and gunicorn")
		o.example = traces[0].ID
	}
	return o.example
}

// sendBytes sends what is no request and waits until the server has closed.
func sendBytes(t *testing.T, address, text string) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.Write([]byte(text))
	require.NoError(t, err)
	_ = conn.SetReadDeadline(time.Now().Add(2 * time.Second))
	_, _ = conn.Read(make([]byte, 512)) // an answer or the end, either will do
}
