package promtest

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
)

// The features of Prometheus 2 that have to be enabled. With native histograms
// it drops the classic buckets of a histogram that has both.
const (
	Exemplars        = "exemplar-storage"
	NativeHistograms = "native-histograms"
)

// Prometheus is a running Prometheus.
type Prometheus struct {
	*harness.Process
	URL string
	api v1.API
}

// frame is a configuration that scrapes one target frequently.
const frame = `global:
  scrape_interval: %[1]s
  scrape_timeout: %[1]s
  evaluation_interval: %[4]s
rule_files: [%[2]s]
scrape_configs:
  - job_name: lapwing
    static_configs:
      - targets: [%[3]s]
`

// Options configure Prometheus.
type Options struct {
	Features []string
	Rules    []string // rule files
	Targets  []string // more targets to scrape, as host:port

	Every    time.Duration // between scrapes; 0 means 200 ms
	Evaluate time.Duration // between evaluations of the rules; 0 means a minute
}

// Start runs a Prometheus that scrapes a target, as host:port, until the test
// ends.
func Start(t testing.TB, target string, o Options) *Prometheus {
	t.Helper()
	dir, address := t.TempDir(), harness.FreeAddress(t)
	file := filepath.Join(dir, "prometheus.yml")
	config := fmt.Appendf(nil, frame, cmp.Or(o.Every, 200*time.Millisecond), strings.Join(o.Rules, ", "), strings.Join(append(o.Targets, target), ", "), cmp.Or(o.Evaluate, time.Minute))
	require.NoError(t, os.WriteFile(file, config, 0o600))
	p := harness.Start(t, exec.Command(harness.Installed(t, "prometheus"),
		"--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+address, "--enable-feature="+strings.Join(o.Features, ","), "--log.level=warn"))
	client, err := api.NewClient(api.Config{Address: "http://" + address})
	require.NoError(t, err)
	prom := &Prometheus{Process: p, URL: "http://" + address, api: v1.NewAPI(client)}
	harness.Eventually(t, 30*time.Second, "Prometheus to be ready", func() bool {
		require.False(t, p.Exited(), "Prometheus ended at its start:\n%s", p.Stderr())
		res, err := http.Get(prom.URL + "/-/ready")
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	return prom
}

const queryTimeout = 10 * time.Second

// Query evaluates an expression now. Its result must be a vector.
func (p *Prometheus) Query(t testing.TB, expression string) model.Vector {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), harness.Slow(queryTimeout))
	defer cancel()
	result, warnings, _, err := p.api.Query(ctx, expression, time.Now())
	require.NoError(t, err, "query %s: %v", expression, warnings)
	require.Empty(t, warnings, "query %s", expression)
	vector, ok := result.(model.Vector)
	require.True(t, ok, "query %s gives a %s, want a vector", expression, result.Type())
	return vector
}

// At evaluates an expression at a time. The result is series with one value
// each.
func (p *Prometheus) At(t testing.TB, expression string, at time.Time) (series model.Matrix) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), harness.Slow(queryTimeout))
	defer cancel()
	result, warnings, _, err := p.api.Query(ctx, expression, at)
	require.NoError(t, err, "query %s: %v", expression, warnings)
	require.Empty(t, warnings, "query %s", expression)
	for _, s := range result.(model.Vector) {
		series = append(series, &model.SampleStream{Metric: s.Metric, Values: []model.SamplePair{{Timestamp: s.Timestamp, Value: s.Value}}})
	}
	return series
}

// Range evaluates an expression over a time range, as a graph does.
func (p *Prometheus) Range(t testing.TB, expression string, from, to time.Time, step time.Duration) model.Matrix {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), harness.Slow(queryTimeout))
	defer cancel()
	result, warnings, _, err := p.api.QueryRange(ctx, expression, v1.Range{Start: from, End: to, Step: step})
	require.NoError(t, err, "query %s: %v", expression, warnings)
	require.Empty(t, warnings, "query %s", expression)
	return result.(model.Matrix)
}

// LabelValues returns the values of a label in the series of a selector.
func (p *Prometheus) LabelValues(t testing.TB, label, selector string, from, to time.Time) (values []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), harness.Slow(queryTimeout))
	defer cancel()
	found, warnings, _, err := p.api.LabelValues(ctx, label, []string{selector}, from, to)
	require.NoError(t, err, "values of %s in %s: %v", label, selector, warnings)
	require.Empty(t, warnings, "values of %s in %s", label, selector)
	for _, v := range found {
		values = append(values, string(v))
	}
	return values
}

// Value returns the value of an expression with exactly one; ok is false if
// there is none.
func (p *Prometheus) Value(t testing.TB, expression string) (value float64, ok bool) {
	t.Helper()
	vector := p.Query(t, expression)
	if len(vector) == 0 {
		return 0, false
	}
	require.Equal(t, 1, len(vector), "values of query %s", expression)
	return float64(vector[0].Value), true
}

// Exemplars returns the exemplars of the series of a selector in the last
// minutes.
func (p *Prometheus) Exemplars(t testing.TB, selector string) []v1.Exemplar {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), harness.Slow(queryTimeout))
	defer cancel()
	now := time.Now()
	results, err := p.api.QueryExemplars(ctx, selector, now.Add(-5*time.Minute), now.Add(time.Minute))
	require.NoError(t, err, "exemplars of %s", selector)
	var all []v1.Exemplar
	for _, r := range results {
		all = append(all, r.Exemplars...)
	}
	return all
}
