package e2e

import (
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/collectortest"
	"lapwing/agent/e2e/harness"
	"lapwing/agent/e2e/promtest"
)

// twoTier is nginx in front of gunicorn, with an agent that counts both.
type twoTier struct {
	front, back *served
	agent       *harness.Process
	metrics     string // address
}

const metricsConfig = `filter: {ports: [%[1]s, %[2]s]}
services:
  - {name: front, port: %[1]s}
  - {name: back, exe: gunicorn*, cmdline: application:app}
  - {name: back, cmdline: application:app}
routes:
  - template: /sleep/{ms}/{n}
  - {template: "/fast/{n}", service: front}
export:
  otlp: {endpoint: "%[3]s", batch_delay: 50ms, metrics: {interval: 200ms}}
`

// startTwoTier starts the servers and an agent with all exporters.
func startTwoTier(t *testing.T, otlp string) *twoTier {
	t.Helper()
	s := &twoTier{back: startGunicorn(t), metrics: harness.FreeAddress(t)}
	address := harness.FreeAddress(t)
	s.front = startNginx(t, address, `server {
		listen `+address+`;
		location / { proxy_pass http://`+s.back.address+`; }
	}`)
	config := filepath.Join(t.TempDir(), "lapwing.yaml")
	writeFile(t, config, fmt.Sprintf(metricsConfig, harness.Port(t, address), harness.Port(t, s.back.address), otlp))
	s.agent = harness.StartDaemon(t, "--config", config, "--prometheus-listen", s.metrics)
	return s
}

// rounds is how often requestsEach requests are sent to the front end.
const rounds = 5

// ask sends requests.
func (s *twoTier) ask(t *testing.T) (requests int) {
	t.Helper()
	for range rounds {
		askAll(t, s.front.address, []string{"/sleep/5/%d", "/fast/%d", "/status/503/%d"})
	}
	return rounds * requestsEach
}

// logs compares the servers' own logs, which are complete once they have ended,
// with the number of requests.
func (s *twoTier) logs(t *testing.T, requests int) {
	for _, server := range []*served{s.front, s.back} {
		require.NoError(t, server.Stop())
		assert.Equal(t, requests, len(server.log(t)), server.Name)
	}
}

// TestMetricsInPrometheus lets a real Prometheus scrape the agent next to nginx
// and gunicorn, and compares its values with nginx's own log.
func TestMetricsInPrometheus(t *testing.T) {
	collector := collectortest.Start(t)
	servers := startTwoTier(t, collector.HTTP)
	classic := promtest.Start(t, servers.metrics, promtest.Options{Features: []string{promtest.Exemplars}})
	native := promtest.Start(t, servers.metrics, promtest.Options{Features: []string{promtest.NativeHistograms}})
	requests := servers.ask(t)

	t.Run("classic buckets", func(t *testing.T) { checkClassic(t, classic, requests) })
	t.Run("native histograms", func(t *testing.T) { checkNative(t, native, requests) })
	t.Run("routes and statuses", func(t *testing.T) { checkLabels(t, classic, requests) })
	t.Run("workers", func(t *testing.T) { checkWorkers(t, classic, servers, requests) })
	t.Run("promtool", func(t *testing.T) { promtool(t, servers.metrics) })
	t.Run("exemplars", func(t *testing.T) { checkExemplars(t, classic, collector) })
	t.Run("logs", func(t *testing.T) { servers.logs(t, requests) })
	t.Run("OTLP", func(t *testing.T) { checkPushed(t, servers.agent, collector, requests) })
}

// awaitValue waits until an expression has a value.
func awaitValue(t *testing.T, p *promtest.Prometheus, expression string, want float64) {
	t.Helper()
	var got float64
	if !harness.Within(60*time.Second, func() bool { got, _ = p.Value(t, expression); return got == want }) {
		require.Equal(t, want, got, "%s; there are %v", expression,
			p.Query(t, "sum by (service_name) (http_server_request_duration_seconds_count)"))
	}
}

func checkClassic(t *testing.T, p *promtest.Prometheus, requests int) {
	for _, service := range []string{"front", "back"} {
		selector := `{service_name="` + service + `"}`
		awaitValue(t, p, "sum(http_server_request_duration_seconds_count"+selector+")", float64(requests))
		duration, ok := p.Value(t, "sum(http_server_request_duration_seconds_sum"+selector+")")
		require.True(t, ok)
		phases := p.Query(t, "sum by (phase) (lapwing_request_phase_duration_seconds_sum"+selector+")")
		require.Len(t, phases, 4)
		sum := 0.0
		for _, phase := range phases {
			sum += float64(phase.Value)
		}
		assert.InEpsilon(t, duration, sum, 1e-9, "the phases of %s add up", service)
		q, ok := p.Value(t, "histogram_quantile(0.99, sum by (le) (http_server_request_duration_seconds_bucket"+selector+"))")
		assert.True(t, ok && q > .005 && q < 1, "p99 of %s is %v", service, q)
	}
	parts := p.Query(t, `sum by (part) (lapwing_request_part_duration_seconds_count{service_name="front"})`)
	assert.GreaterOrEqual(t, len(parts), 5, "parts")
	lost := p.Query(t, "lapwing_agent_requests_lost_total")
	assert.Empty(t, lost)
	memory, ok := p.Value(t, `process_memory_usage_bytes{service_name="lapwing"}`)
	assert.True(t, ok && memory > 1<<20)
}

// checkWorkers checks the pool of gunicorn, which has two workers that are idle
// now.
func checkWorkers(t *testing.T, p *promtest.Prometheus, s *twoTier, requests int) {
	awaitValue(t, p, `sum(lapwing_workers{service_name="back"})`, 2)
	awaitValue(t, p, `lapwing_workers{service_name="back",state="available"}`, 2)
	awaitValue(t, p, `lapwing_worker_requests_total{service_name="back"}`, float64(requests))
	awaitValue(t, p, `count(process_memory_usage_bytes{service_name="back"} > 1e6)`, 2)
	busy, ok := p.Value(t, `lapwing_worker_busy_time_seconds_total{service_name="back"}`)
	slept := float64(requests) / 3 * .005
	assert.True(t, ok && busy > slept*.8 && busy < slept+10, "busy for %v s, of which %v s asleep", busy, slept)
	awaitValue(t, p, `lapwing_backlog_length{service_name="back",address="`+s.back.address+`"}`, 0)
	active := `(http_server_active_requests{service_name="back",http_request_method="GET",url_scheme="http"})`
	awaitValue(t, p, "count"+active+" - sum"+active, 1) // the series exists, and is 0
	limit, ok := p.Value(t, `lapwing_backlog_limit{service_name="back",address="`+s.back.address+`"}`)
	assert.True(t, ok && limit >= 128, "gunicorn's backlog is %v", limit)
}

func checkNative(t *testing.T, p *promtest.Prometheus, requests int) {
	awaitValue(t, p, `histogram_count(sum(http_server_request_duration_seconds{service_name="front"}))`, float64(requests))
	duration, _ := p.Value(t, `histogram_sum(sum(http_server_request_duration_seconds{service_name="front"}))`)
	phases, ok := p.Value(t, `histogram_sum(sum(lapwing_request_phase_duration_seconds{service_name="front"}))`)
	require.True(t, ok)
	assert.InEpsilon(t, duration, phases, 1e-9)
	q, ok := p.Value(t, `histogram_quantile(0.5, sum(http_server_request_duration_seconds{service_name="front",http_route="/sleep/{ms}/{n}"}))`)
	assert.True(t, ok && q > .005 && q < .1, "the median of 5 ms of sleep is %v", q)
}

func checkLabels(t *testing.T, p *promtest.Prometheus, requests int) {
	third := float64(requests / 3)
	for selector, want := range map[string]float64{
		`service_name="front",http_route="/sleep/{ms}/{n}",http_response_status_code="200"`: third,
		`service_name="back",http_route="/sleep/{ms}/{n}",http_response_status_code="200"`:  third,
		`service_name="front",http_route="/fast/{n}"`:                                       third,
		`service_name="back",http_route="/fast/{n}"`:                                        0,
		`service_name="front",http_response_status_code="503",error_type="503"`:             third,
		`service_name="front",http_request_method="GET",url_scheme="http"`:                  3 * third,
	} {
		got, _ := p.Value(t, "sum(http_server_request_duration_seconds_count{"+selector+"})")
		assert.Equal(t, want, got, selector)
	}
}

// promtool checks what the agent serves with Prometheus's own checker.
func promtool(t *testing.T, address string) {
	res, err := http.Get("http://" + address + "/metrics")
	require.NoError(t, err)
	defer res.Body.Close()
	check := exec.Command(harness.Installed(t, "promtool"), "check", "metrics")
	check.Stdin = res.Body
	out, err := check.CombinedOutput()
	assert.NoError(t, err, string(out[:min(len(out), 1000)]))
	assert.Empty(t, string(out[:min(len(out), 1000)]))
}

func checkExemplars(t *testing.T, p *promtest.Prometheus, c *collectortest.Collector) {
	exemplars := p.Exemplars(t, `http_server_request_duration_seconds_bucket{service_name="front"}`)
	require.NotEmpty(t, exemplars)
	spans := c.WaitSpans(t, 1)
	traces := map[string]bool{}
	for _, s := range spans {
		traces[s.TraceID] = true
	}
	for _, e := range exemplars {
		assert.True(t, traces[string(e.Labels["trace_id"])], "the exemplar %v leads to no trace", e.Labels)
	}
}

// checkPushed checks what the Collector has received once the agent has ended.
func checkPushed(t *testing.T, agent *harness.Process, c *collectortest.Collector, requests int) {
	require.NoError(t, agent.Stop())
	last := map[string]collectortest.Point{} // by series
	for _, p := range c.WaitPoints(t, 1) {
		last[fmt.Sprint(p.Resource["service.name"], p.Metric, p.Attributes)] = p
	}
	var count uint64
	var duration, phases float64
	for _, p := range last {
		if p.Resource["service.name"] != "front" {
			continue
		}
		switch p.Metric {
		case "http.server.request.duration":
			count += p.Count
			duration += p.Value
		case "lapwing.request.phase.duration":
			phases += p.Value
		}
	}
	assert.EqualValues(t, requests, count)
	assert.InEpsilon(t, duration, phases, 1e-9)
	assert.Empty(t, c.Complaints())
}

// TestPrometheusWithoutAnyFile runs the agent with only a flag.
func TestPrometheusWithoutAnyFile(t *testing.T) {
	server, address := startGunicorn(t), harness.FreeAddress(t)
	harness.StartDaemon(t, "--prometheus-listen", address)
	askOnce(t, server.address+"/fast", "")
	harness.Eventually(t, 10*time.Second, "the request in the metrics", func() bool {
		page, _, _ := harness.Scrape(address)
		// Next to another gunicorn on the host, its name says which it is.
		return regexp.MustCompile(`http_server_request_duration_seconds_count\{http_request_method="GET",http_response_status_code="200",network_protocol_version="1.1",service_name="gunicorn(:\w+)?",url_scheme="http"\} 1`).MatchString(page)
	})
}

// TestPortOfMetricsTaken expects one line that names the process with the port.
func TestPortOfMetricsTaken(t *testing.T) {
	server := startGunicorn(t)
	agent := harness.Start(t, exec.Command(harness.Lapwing(t), "run", "--prometheus-listen", server.address))
	assert.Equal(t, 1, harness.ExitStatus(agent.AwaitExit(20*time.Second)))
	lines := strings.Split(strings.TrimSpace(agent.Stderr()), "\n") // warnings about the test's environment come before it
	log := lines[len(lines)-1]
	assert.Regexp(t, `^lapwing: export\.prometheus\.listen `+server.address+`: the port is already used by gunicorn.* \(process \d+\): stop it, or use another port$`, log)
}
