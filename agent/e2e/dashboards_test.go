package e2e

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/jaegertest"
	"lapwing/agent/e2e/promtest"
	"lapwing/dashboards"
	"lapwing/dashboards/interpolate"
	"lapwing/dashboards/traceql"
)

// watched is what the dashboards show: servers under load with an agent, an
// agent with all problems, and the backends of both.
type watched struct {
	*twoTier
	beset      *beset
	prometheus *promtest.Prometheus
	jaeger     *jaegertest.Jaeger

	began    time.Time       // before the first request
	from, to time.Time       // of the load
	held     []*traceql.Span // in Jaeger, all of both servers
	example  string          // a trace
	before   int             // requests that nginx served before from
	logged   []logged        // by nginx, all of them
}

const rulesFile = "../../dashboards/stack/prometheus/rules.yaml"

// Prometheus scrapes every half second. Grafana is configured with one second,
// its minimum.
const (
	scrapes     = 500 * time.Millisecond
	scrapeEvery = time.Second
)

// pause is long enough for the scrapes before and after the load.
const pause = 3 * time.Second

func observe(t *testing.T) *watched {
	t.Helper()
	o := &watched{jaeger: jaegertest.Start(t), beset: startBeset(t), began: time.Now()}
	o.twoTier = startTwoTier(t, o.jaeger.OTLP)
	rules, err := filepath.Abs(rulesFile)
	require.NoError(t, err)
	o.prometheus = promtest.Start(t, o.metrics, promtest.Options{
		Features: []string{promtest.Exemplars}, Rules: []string{rules}, Targets: []string{o.beset.address}, Every: scrapes,
	})
	// The first value of a counter is not an increase, so every series must
	// already exist.
	o.load(t, time.Second)
	sendBytes(t, o.back.address, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
	time.Sleep(pause)
	o.before = len(o.front.log(t))
	o.from = time.Now()
	o.load(t, 10*time.Second)
	o.beset.trouble(30)
	time.Sleep(pause)
	o.to = time.Now()
	// A whole number of seconds, as Grafana's ranges are, that starts in the
	// pause.
	o.from = o.to.Add(-o.to.Sub(o.from).Truncate(time.Second) - 2*time.Second)
	o.logged = o.front.log(t)
	return o
}

// load keeps more clients busy than gunicorn has workers.
func (o *watched) load(t *testing.T, span time.Duration) {
	t.Helper()
	var clients sync.WaitGroup
	until := time.Now().Add(span)
	for c := range 6 {
		clients.Go(func() {
			client := newClient()
			defer client.CloseIdleConnections()
			for i := 0; time.Now().Before(until); i++ {
				path := []string{"/sleep/60/%d", "/fast/%d", "/status/503/%d"}[i%3]
				err := fetch(t.Context(), client, "http://"+o.front.address+fmt.Sprintf(path, c*1000+i))
				if !assert.NoError(t, err, "request %d of client %d", i, c) {
					return
				}
			}
		})
	}
	clients.Wait()
}

// choice returns what is selected in the header of a dashboard: all hosts and
// the services of the test, or one of them.
func (o *watched) choice(d *dashboards.Dashboard) interpolate.Choice {
	c := interpolate.Choice{
		Range: o.to.Sub(o.from), Scrape: scrapeEvery, Width: 1000,
		Variables: map[string]interpolate.Variable{
			"host": {Multi: true, All: ".*"}, "service": {Values: []string{"back"}},
			"longer": {Values: []string{"1ms"}}, "condition": {Values: []string{`span.http.route = "/sleep/{ms}/{n}"`}},
		},
	}
	for _, v := range d.Templating.List {
		if v.Name == "service" && v.Multi {
			c.Variables["service"] = interpolate.Variable{Values: []string{"front", "back"}, Multi: true}
		}
	}
	return c
}

// TestDashboards runs every PromQL query of every panel and of every alert on a
// Prometheus that has scraped an agent next to nginx and gunicorn, and every
// TraceQL query on the spans of the agent in Jaeger.
func TestDashboards(t *testing.T) {
	o := observe(t)
	for _, d := range dashboards.All() {
		c := o.choice(d)
		for _, p := range d.Panels {
			t.Run(d.UID+"/"+p.Title, func(t *testing.T) { o.panel(t, c, p) })
		}
	}
	t.Run("choices", o.choices)
	t.Run("phases add up", o.phasesAddUp)
	t.Run("requests are those of the log", o.requestsOfTheLog)
	t.Run("quantiles are in order", o.quantilesInOrder)
	t.Run("shares", o.shares)
	t.Run("from a dot to its trace", o.exemplars)
	t.Run("traces are those of the log", o.tracesOfTheLog)
	t.Run("searches in Jaeger", o.searches)
	t.Run("alerts", o.alerts)
}

// panel runs the queries of a panel. Pyroscope is not available for tests.
func (o *watched) panel(t *testing.T, c interpolate.Choice, p *dashboards.Panel) {
	for _, target := range p.Targets {
		switch target.Source {
		case dashboards.Prometheus:
			o.metricQuery(t, c, p, target)
		case dashboards.Tempo:
			o.traceQuery(t, c, p, target)
		}
	}
}

// run evaluates a query as its panel does: at the end, or over the time range.
func (o *watched) run(t *testing.T, c interpolate.Choice, target dashboards.Target) model.Matrix {
	t.Helper()
	query, err := c.PromQL(target.Expr)
	require.NoError(t, err)
	if target.Instant {
		return o.prometheus.At(t, query, o.to)
	}
	return o.prometheus.Range(t, query, o.from.Add(4*scrapeEvery), o.to, c.Interval())
}

// metricQuery expects values from a PromQL query. All must be numbers. They
// must have the labels that the panel shows, and no other labels that would
// make two lines look the same.
func (o *watched) metricQuery(t *testing.T, c interpolate.Choice, p *dashboards.Panel, target dashboards.Target) {
	t.Helper()
	series := o.run(t, c, target)
	require.NotEmpty(t, series, target.Expr)
	shown := shownLabels(p, target)
	complete, numbers := false, 0
	for _, s := range series {
		for name := range s.Metric {
			assert.Contains(t, shown, string(name), target.Expr)
		}
		complete = complete || len(s.Metric) == len(shown)
		for _, v := range s.Values {
			if !math.IsNaN(float64(v.Value)) {
				numbers++
				assert.GreaterOrEqual(t, float64(v.Value), 0.0, target.Expr)
			}
		}
	}
	assert.True(t, complete, "no series has all of %v: %s", shown, target.Expr)
	assert.Positive(t, numbers, target.Expr)
}

// shownLabels returns the labels that distinguish the series of a panel.
func shownLabels(p *dashboards.Panel, target dashboards.Target) (names []string) {
	if target.Format == "table" {
		for _, change := range p.Transformations {
			if order, ok := change.Options["indexByName"].(map[string]any); ok {
				for name := range order {
					if !strings.HasPrefix(name, "Value") {
						names = append(names, name)
					}
				}
			}
		}
		return names
	}
	for _, part := range strings.Split(target.LegendFormat, "{{")[1:] {
		name, _, _ := strings.Cut(part, "}}")
		names = append(names, name)
	}
	return names
}

// find returns the panel of a dashboard by its title.
func find(t *testing.T, uid, title string) (*dashboards.Dashboard, *dashboards.Panel) {
	t.Helper()
	for _, d := range dashboards.All() {
		i := slices.IndexFunc(d.Panels, func(p *dashboards.Panel) bool { return p.Title == title })
		if d.UID == uid && i >= 0 {
			return d, d.Panels[i]
		}
	}
	require.Fail(t, "a dashboard lacks a panel", "%s has no panel %q", uid, title)
	return nil, nil
}
