package e2e

import (
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/collectortest"
	"lapwing/agent/e2e/harness"
	"lapwing/agent/e2e/jaegertest"
	"lapwing/dashboards"
	"lapwing/dashboards/interpolate"
	"lapwing/dashboards/traceql"
)

func withValues(values ...string) interpolate.Variable {
	return interpolate.Variable{Values: values, Multi: true}
}

// traceQuery expects traces from a TraceQL query on the spans in Jaeger, spans
// in each trace, and every attribute that the query names on them.
func (o *watched) traceQuery(t *testing.T, c interpolate.Choice, p *dashboards.Panel, target dashboards.Target) {
	t.Helper()
	c.Variables["trace"] = interpolate.Variable{Values: []string{o.anyTrace(t)}}
	text, err := c.TraceQL(target.Query)
	require.NoError(t, err)
	if target.Query == "${trace}" {
		assert.GreaterOrEqual(t, len(o.jaeger.Trace(t, text)), 10, "two requests with four phases each")
		return
	}
	matches, query := o.search(t, text)
	require.NotEmpty(t, matches, text)
	for _, span := range spansOf(matches) {
		checkSpan(t, p, span)
	}
	of := c.Variables["trace"].Values[0]
	anywhere, _ := o.search(t, strings.Replace(text, `trace:id = "`+of+`"`, "true", 1))
	for _, a := range query.Attributes() {
		ok := has(spansOf(matches), a) || isPart(a) && has(spansOf(anywhere), a)
		assert.True(t, ok, "%s.%s is in no span: %s", a.Scope, a.Name, text)
	}
}

func spansOf(matches []traceql.Match) (spans []*traceql.Span) {
	for _, m := range matches {
		spans = append(spans, m.Spans...)
	}
	return spans
}

func has(spans []*traceql.Span, a traceql.Attribute) bool {
	return slices.ContainsFunc(spans, func(s *traceql.Span) bool { return s.Value(a) != nil })
}

// isPart reports whether an attribute is a part of a phase. No single request
// has all parts: it is enough that the query finds it in another trace.
func isPart(a traceql.Attribute) bool { return strings.HasPrefix(a.Name, "lapwing.") }

// checkSpan compares a found span with what the panel shows.
func checkSpan(t *testing.T, p *dashboards.Panel, span *traceql.Span) {
	t.Helper()
	switch p.Title {
	case "Which requests failed?":
		assert.EqualValues(t, 503, span.Attributes["http.response.status_code"])
	case "Which requests took long?", "Which requests waited long for a worker?":
		assert.Greater(t, span.Duration, time.Millisecond)
	case "Which other requests are similar?":
		assert.GreaterOrEqual(t, span.Duration, 60*time.Millisecond, "the route that sleeps")
	}
}

// search runs a TraceQL query on the spans in Jaeger.
func (o *watched) search(t *testing.T, text string) ([]traceql.Match, *traceql.Query) {
	t.Helper()
	query, err := traceql.Parse(text)
	require.NoError(t, err)
	matches, err := query.Run(o.spans(t))
	require.NoError(t, err)
	return matches, query
}

// spans returns Jaeger's spans of both servers, once all requests in nginx's
// log have arrived.
func (o *watched) spans(t *testing.T) []*traceql.Span {
	t.Helper()
	if o.held == nil {
		harness.Within(20*time.Second, func() bool {
			o.held = o.fetch(t)
			return len(requestsOf(o.held, "front")) >= len(o.logged)
		})
	}
	return o.held
}

func (o *watched) fetch(t *testing.T) (spans []*traceql.Span) {
	t.Helper()
	known := map[string]bool{}
	for _, service := range []string{"front", "back"} {
		for _, s := range o.jaeger.Find(t, o.whole(service)) {
			if !known[s.SpanID] {
				known[s.SpanID] = true
				spans = append(spans, asTraceQL(s))
			}
		}
	}
	return spans
}

// whole searches for all traces of a service.
func (o *watched) whole(service string) jaegertest.Search {
	return jaegertest.Search{Service: service, From: o.began, To: o.to.Add(10 * time.Second)}
}

// asTraceQL converts a span to the model of TraceQL.
func asTraceQL(s collectortest.Span) *traceql.Span {
	return &traceql.Span{
		Trace: s.TraceID, Name: s.Name, Duration: time.Duration(s.End - s.Start),
		Kind:     []string{"unspecified", "internal", "server", "client", "producer", "consumer"}[s.Kind],
		Status:   []string{"unset", "ok", "error"}[s.Status],
		Resource: s.Resource, Attributes: s.Attributes,
	}
}

// requestsOf returns the requests of a service.
func requestsOf(spans []*traceql.Span, service string) (requests []*traceql.Span) {
	for _, s := range spans {
		if s.Kind == "server" && s.Resource["service.name"] == service {
			requests = append(requests, s)
		}
	}
	return requests
}

// anyTrace returns the identifier of a trace through both servers, as Tempo
// shows it: without leading zeros, as in a comparison with trace:id.
func (o *watched) anyTrace(t *testing.T) string {
	t.Helper()
	if o.example == "" {
		matches, _ := o.search(t, `{ resource.service.name = "front" && kind = server && span.http.route = "/sleep/{ms}/{n}" } && { resource.service.name = "back" && kind = server }`)
		require.NotEmpty(t, matches, "a trace through nginx and gunicorn")
		o.example = strings.TrimLeft(matches[len(matches)-1].Trace, "0")
	}
	return o.example
}

// tracesOfTheLog compares the spans in Jaeger with nginx's own log: one span
// per request, with its path and status. No two requests of the test have the
// same path, so joined requests must have the same path.
func (o *watched) tracesOfTheLog(t *testing.T) {
	spans := o.spans(t)
	type answer struct{ path, status any }
	var logged, held []answer
	for _, l := range o.logged {
		logged = append(logged, answer{l.path, int64(l.status)})
	}
	for _, s := range requestsOf(spans, "front") {
		held = append(held, answer{s.Attributes["url.path"], s.Attributes["http.response.status_code"]})
	}
	assert.ElementsMatch(t, logged, held)

	paths := map[string]any{}
	for _, s := range requestsOf(spans, "front") {
		assert.NotContains(t, paths, s.Trace, "two requests of the front in one trace")
		paths[s.Trace] = s.Attributes["url.path"]
	}
	joined := 0
	for _, s := range requestsOf(spans, "back") {
		if path, ok := paths[s.Trace]; ok {
			joined++
			assert.Equal(t, path, s.Attributes["url.path"])
		}
	}
	t.Logf("%d of %d requests joined", joined, len(o.logged))
	assert.Greater(t, joined, len(o.logged)*9/10)
}

// searches searches for traces as users of Jaeger do: in its own interface, or
// in Grafana with its data source.
func (o *watched) searches(t *testing.T) {
	o.spans(t)
	assert.Subset(t, o.jaeger.Services(t), []string{"front", "back"})
	var failed, slow []string
	for _, l := range o.logged {
		if l.status == 503 {
			failed = append(failed, l.path)
		}
		if strings.HasPrefix(l.path, "/sleep/60/") {
			slow = append(slow, l.path)
		}
	}
	// Jaeger treats error=true specially, and finds nothing of it in memory.
	for _, tags := range []map[string]string{{"http.response.status_code": "503"}, {"error.type": "503"}} {
		search := o.whole("front")
		search.Tags = tags
		assert.Len(t, o.jaeger.IDs(t, search), len(failed), tags)
	}
	search := o.whole("front")
	search.Operation, search.Longer = "GET /sleep/{ms}/{n}", 60*time.Millisecond
	search.Tags = map[string]string{"http.route": "/sleep/{ms}/{n}"}
	assert.Len(t, o.jaeger.IDs(t, search), len(slow))
	o.searchQueued(t)
}

// searchQueued searches for requests that waited long, and expects those of
// which Jaeger has such a span.
func (o *watched) searchQueued(t *testing.T) {
	queued, err := traceql.Parse(`{ resource.service.name = "back" && name = "queue" && duration >= 10ms }`)
	require.NoError(t, err)
	want, err := queued.Run(o.spans(t))
	require.NoError(t, err)
	require.NotEmpty(t, want, "six clients for two workers")
	search := o.whole("back")
	search.Operation, search.Longer = "queue", 10*time.Millisecond
	found := map[string]bool{}
	for _, s := range o.jaeger.Find(t, search) {
		found[s.TraceID] = true
	}
	assert.Len(t, found, len(want))
	for _, m := range want {
		assert.True(t, found[m.Trace], m.Trace)
	}
}

// sendBytes sends bytes that are not a request and waits until the server has
// closed.
func sendBytes(t *testing.T, address, text string) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.Write([]byte(text))
	require.NoError(t, err)
	_ = conn.SetReadDeadline(time.Now().Add(2 * time.Second))
	_, _ = conn.Read(make([]byte, 512)) // either a response or the end
}
