package e2e

import (
	"math"
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"lapwing/dashboards"
)

// results returns the results of the queries of one panel.
func (o *watched) results(t *testing.T, uid, title string) []model.Matrix {
	t.Helper()
	d, p := find(t, uid, title)
	var out []model.Matrix
	for _, target := range p.Targets {
		out = append(out, o.run(t, o.choice(d), target))
	}
	return out
}

// labelValues matches a query for the values of a variable, as Grafana does.
var labelValues = regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)

// choices queries what can be selected in the header of each dashboard, as
// Grafana does: the scraped agents, and the services of the real one.
func (o *watched) choices(t *testing.T) {
	asked := 0
	for _, d := range dashboards.All() {
		c := o.choice(d)
		for _, v := range d.Templating.List {
			query, ok := v.Query.(map[string]any)
			if !ok {
				continue
			}
			asked++
			parts := labelValues.FindStringSubmatch(query["query"].(string))
			require.Len(t, parts, 3, query)
			selector, err := c.PromQL(parts[1])
			require.NoError(t, err)
			want := map[string][]string{"host": {o.metrics, o.beset.address}, "service": {"back", "front"}}[v.Name]
			assert.Subset(t, o.prometheus.LabelValues(t, parts[2], selector, o.from, o.to), want, "%s: %s", d.UID, v.Name)
		}
	}
	assert.GreaterOrEqual(t, asked, 2*len(dashboards.All())-1, "a host each, and a service but for the agents")
}

// phasesAddUp compares the stack of the phases with the mean duration at each
// time, and the columns of the table with the mean of each service.
func (o *watched) phasesAddUp(t *testing.T) {
	d, p := find(t, "lapwing-where", "Where does the time of a request go?")
	stack := o.run(t, o.choice(d), p.Targets[0])
	require.Len(t, stack, 4)
	mean := o.run(t, o.choice(d), dashboards.Target{Expr: `sum(rate(http_server_request_duration_seconds_sum{service_name=~"$service"}[$__rate_interval]))
		/ sum(rate(http_server_request_duration_seconds_count{service_name=~"$service"}[$__rate_interval]))`})
	sums := sumByTime(stack)
	compared := 0
	for _, v := range mean[0].Values {
		// While counters are young, rate() extrapolates the start of each one
		// separately.
		if sum, ok := sums[v.Timestamp]; ok && v.Timestamp.Time().After(o.from.Add(8*time.Second)) && !math.IsNaN(float64(v.Value)) {
			compared++
			assert.InEpsilon(t, float64(v.Value), sum, 1e-3)
		}
	}
	assert.Greater(t, compared, 2)

	columns := o.results(t, "lapwing-where", "Which service is slow, and in which phase?")
	means := byLabel(o.run(t, o.choice(d), dashboards.Target{Instant: true,
		Expr: `sum by (service_name) (increase(http_server_request_duration_seconds_sum[$__range])) / sum by (service_name) (increase(http_server_request_duration_seconds_count[$__range]))`}), "service_name")
	for _, service := range []string{"front", "back"} {
		sum := 0.0
		for _, phase := range columns[2:] {
			sum += byLabel(phase, "service_name")[service]
		}
		assert.InEpsilon(t, means[service], sum, 1e-3, service)
	}
}

// extrapolated is the possible error of increase(): it extrapolates from the
// scrapes to the ends of the range.
const extrapolated = 0.1

// requestsOfTheLog compares with nginx's own log. Counters must be exact, and
// panels within the extrapolation to the ends of a range.
func (o *watched) requestsOfTheLog(t *testing.T) {
	awaitValue(t, o.prometheus, `sum(http_server_request_duration_seconds_count{service_name="front"})`, float64(len(o.logged)))
	phases, _ := o.prometheus.Value(t, `sum(lapwing_request_phase_duration_seconds_sum{service_name="front"})`)
	duration, _ := o.prometheus.Value(t, `sum(http_server_request_duration_seconds_sum{service_name="front"})`)
	assert.InEpsilon(t, duration, phases, 1e-9)

	during := float64(len(o.logged) - o.before)
	d, p := find(t, "lapwing-where", "Which service is slow, and in which phase?")
	rates := byLabel(o.run(t, o.choice(d), p.Targets[0]), "service_name")
	seconds := o.choice(d).Range.Seconds()
	assert.InEpsilon(t, during, rates["front"]*seconds, extrapolated)
	assert.InEpsilon(t, during, rates["back"]*seconds, extrapolated)

	failed := 0
	for _, l := range o.logged[o.before:] {
		if l.status >= 500 {
			failed++
		}
	}
	_, routes := find(t, "lapwing-service", "Which routes are slowest?")
	d, _ = find(t, "lapwing-service", routes.Title)
	rates = byLabel(o.run(t, o.choice(d), routes.Targets[1]), "http_route")
	shares := byLabel(o.run(t, o.choice(d), routes.Targets[2]), "http_route")
	assert.Contains(t, rates, "/sleep/{ms}/{n}")
	assert.Zero(t, shares["/sleep/{ms}/{n}"])
	assert.InEpsilon(t, float64(failed), shares[""]*rates[""]*seconds, extrapolated, "failed ones, all without a route")
}

// quantilesInOrder checks that p50 ≤ p95 ≤ p99 for each phase.
func (o *watched) quantilesInOrder(t *testing.T) {
	for _, title := range []string{"How long do requests wait for a worker?", "How long does reading requests take?",
		"How long does the application compute?", "How long does writing the response take?"} {
		q := o.results(t, "lapwing-where", title)
		require.Len(t, q, 3)
		p50, p95, p99 := sumByTime(q[0]), sumByTime(q[1]), sumByTime(q[2])
		for at, v := range p50 {
			if !math.IsNaN(v) {
				assert.LessOrEqual(t, v, p95[at], title)
				assert.LessOrEqual(t, p95[at], p99[at], title)
			}
		}
	}
	waits := sumByTime(o.results(t, "lapwing-service", "Where does the time of a request go?")[0])
	assert.NotEmpty(t, waits)
}

// shares compares values that are known in advance: of the requests of the
// beset agent one in three is lost, and six clients keep two workers busy.
func (o *watched) shares(t *testing.T) {
	d, p := find(t, "lapwing-agent", "What share of the requests was lost?")
	c := o.choice(d)
	c.Variables["host"] = withValues(o.beset.address)
	lost := o.run(t, c, p.Targets[0])
	require.Len(t, lost, 1)
	assert.InDelta(t, 1.0/3, float64(lost[0].Values[0].Value), 0.01)

	var busy time.Duration
	for _, l := range o.back.log(t) {
		busy += l.took
	}
	counted, _ := o.prometheus.Value(t, `lapwing_worker_busy_time_seconds_total{service_name="back"}`)
	assert.InEpsilon(t, busy.Seconds(), counted, 0.15, "by gunicorn's own log; the workers are %v, utilisation %v", o.prometheus.Query(t, `lapwing_worker_state{service_name="back"}`), o.prometheus.Query(t, `{__name__=~"lapwing_worker_.*_total|lapwing_workers",service_name="back"}`))
	for _, v := range sumByTime(o.results(t, "lapwing-workers", "How much of the workers' time is used?")[0]) {
		assert.LessOrEqual(t, v, 1.05)
	}
	workers := o.results(t, "lapwing-workers", "How many workers are there?")[0]
	assert.EqualValues(t, 2, workers[0].Values[len(workers[0].Values)-1].Value)
	// All requests that wait for the two workers are in the queue of the second
	// service.
	columns := o.results(t, "lapwing-where", "Which service is slow, and in which phase?")
	assert.Greater(t, byLabel(columns[2], "service_name")["back"], byLabel(columns[2], "service_name")["front"])
}

// exemplars looks up each dot of the heat map in Jaeger.
func (o *watched) exemplars(t *testing.T) {
	d, p := find(t, "lapwing-where", "Are some requests slow, or all of them?")
	query, err := o.choice(d).PromQL(p.Targets[0].Expr)
	require.NoError(t, err)
	dots := o.prometheus.Exemplars(t, query)
	require.NotEmpty(t, dots)
	for _, dot := range dots[:min(len(dots), 5)] {
		assert.GreaterOrEqual(t, len(o.jaeger.Trace(t, string(dot.Labels["trace_id"]))), 5)
	}
}

// alerts evaluates the expression of every alert. Each must find the beset
// agent, with the labels that its texts use.
func (o *watched) alerts(t *testing.T) {
	raw, err := os.ReadFile(rulesFile)
	require.NoError(t, err)
	var rules struct {
		Groups []struct {
			Rules []struct{ Alert, Expr string }
		}
	}
	require.NoError(t, yaml.Unmarshal(raw, &rules))
	want := map[string]model.Metric{
		"LapwingQueueDominates":    {"service_name": besetService},
		"LapwingPoolExhausted":     {"service_name": besetService},
		"LapwingBacklogOverflow":   {"service_name": besetService, "address": "127.0.0.1:80"},
		"LapwingAgentLosesRecords": {"cause": "ring_full"},
		"LapwingExportDrops":       {"exporter": "otlp", "cause": "queue_full"},
	}
	require.Len(t, rules.Groups, 1)
	for _, rule := range rules.Groups[0].Rules {
		require.Contains(t, want, rule.Alert)
		found := false
		for _, s := range o.prometheus.At(t, rule.Expr, o.to) {
			found = found || string(s.Metric["instance"]) == o.beset.address && includes(s.Metric, want[rule.Alert])
		}
		assert.True(t, found, rule.Alert)
	}
	assert.Len(t, rules.Groups[0].Rules, len(want))
}

func includes(all, some model.Metric) bool {
	for name, value := range some {
		if all[name] != value {
			return false
		}
	}
	return true
}

func sumByTime(series model.Matrix) map[model.Time]float64 {
	sums := map[model.Time]float64{}
	for _, s := range series {
		for _, v := range s.Values {
			sums[v.Timestamp] += float64(v.Value)
		}
	}
	return sums
}

// byLabel returns the last values of series, by the value of one label.
func byLabel(series model.Matrix, label model.LabelName) map[string]float64 {
	values := map[string]float64{}
	for _, s := range series {
		values[string(s.Metric[label])] = float64(s.Values[len(s.Values)-1].Value)
	}
	return values
}
