package dashboards

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"lapwing/dashboards/interpolate"
	"lapwing/exporters/metrics"
	"lapwing/exporters/prometheus"
)

// exported returns the names of all series of the agent.
func exported() map[string]bool {
	names := map[string]bool{}
	for _, f := range metrics.Families() {
		name := prometheus.Name(f)
		if f.Kind != metrics.KindHistogram {
			names[name] = true
			continue
		}
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			names[name+suffix] = true
		}
	}
	return names
}

// knownLabels are the labels of the agent's series and of a scrape.
var knownLabels = []string{
	"instance", "job", "le", "service_name", "http_request_method", "http_response_status_code", "http_route", "error_type",
	"url_scheme", "network_protocol_name", "network_protocol_version", "otel_metric_overflow",
	"phase", "part", "state", "address", "cause", "reason", "exporter", "process_pid", "thread_id",
}

// wrong returns what a PromQL query uses that does not exist.
func wrong(query string) (out []string) {
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(query)
	if err != nil {
		return []string{err.Error()}
	}
	names := exported()
	label := func(name string) {
		if name != model.MetricNameLabel && !slices.Contains(knownLabels, name) {
			out = append(out, "no label "+name)
		}
	}
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		switch n := node.(type) {
		case *parser.VectorSelector:
			if !names[n.Name] {
				out = append(out, "no metric "+n.Name)
			}
			for _, m := range n.LabelMatchers {
				label(m.Name)
			}
		case *parser.AggregateExpr:
			for _, name := range n.Grouping {
				label(name)
			}
		}
		return nil
	})
	return out
}

// chosenIn returns a choice for every variable of a dashboard.
func chosenIn(d *Dashboard) interpolate.Choice {
	c := interpolate.Choice{Range: time.Hour, Scrape: 15 * time.Second, Width: 1000, Variables: map[string]interpolate.Variable{}}
	for _, v := range d.Templating.List {
		c.Variables[v.Name] = interpolate.Variable{Values: []string{"some.value"}, Multi: v.Multi}
	}
	return c
}

func TestPromQL(t *testing.T) {
	for _, d := range All() {
		c := chosenIn(d)
		for _, p := range d.Panels {
			for _, target := range p.Targets {
				if target.Source != Prometheus {
					continue
				}
				query, err := c.PromQL(target.Expr)
				require.NoError(t, err, p.Title)
				assert.Empty(t, wrong(query), "%s, %s: %s", d.Title, p.Title, query)
			}
		}
	}
}

// TestVariables checks that variables in panels exist, that data sources have
// their variables, and that no variable is unused.
func TestVariables(t *testing.T) {
	for _, d := range All() {
		used := map[string]bool{}
		note := func(text string) {
			for _, name := range interpolate.Names(text) {
				used[name] = true
			}
		}
		for _, p := range d.Panels {
			for _, target := range p.Targets {
				note(target.Source.UID + target.Expr + target.Query + target.LabelSelector)
			}
		}
		for _, v := range d.Templating.List {
			note(fmt.Sprint(v.Query))
		}
		for _, v := range d.Templating.List {
			assert.True(t, used[v.Name], "%s: nothing uses the variable %s", d.Title, v.Name)
			delete(used, v.Name)
		}
		for _, own := range []string{"__rate_interval", "__range", "__range_s"} {
			delete(used, own)
		}
		assert.Empty(t, used, "%s: variables that do not exist", d.Title)
	}
}

// rules is the part of a Prometheus rule file that the tests check.
type rules struct {
	Groups []struct {
		Rules []struct {
			Alert       string            `yaml:"alert"`
			Expr        string            `yaml:"expr"`
			Annotations map[string]string `yaml:"annotations"`
		} `yaml:"rules"`
	} `yaml:"groups"`
}

func TestAlertRules(t *testing.T) {
	raw, err := os.ReadFile("stack/prometheus/rules.yaml")
	require.NoError(t, err)
	var r rules
	require.NoError(t, yaml.Unmarshal(raw, &r))
	require.NotEmpty(t, r.Groups)
	for _, g := range r.Groups {
		for _, rule := range g.Rules {
			assert.NotEmpty(t, rule.Alert)
			assert.Empty(t, wrong(rule.Expr), rule.Alert)
			assert.NotEmpty(t, rule.Annotations["summary"], rule.Alert)
			assert.NotEmpty(t, rule.Annotations["description"], rule.Alert)
			assert.True(t, slices.ContainsFunc(All(), func(d *Dashboard) bool {
				return strings.HasPrefix(rule.Annotations["dashboard"], "/d/"+d.UID+"?")
			}), "%s leads to no dashboard", rule.Alert)
		}
	}
}

func TestWrongQueriesAreFound(t *testing.T) {
	for query, want := range map[string][]string{
		`sum(rate(gone_total[1m]))`:                         {"no metric gone_total"},
		`sum by (colour) (lapwing_workers)`:                 {"no label colour"},
		`lapwing_workers{colour="red"}`:                     {"no label colour"},
		`http_server_request_duration_seconds{phase="app"}`: {"no metric http_server_request_duration_seconds"},
	} {
		assert.Equal(t, want, wrong(query))
	}
	assert.Len(t, wrong(`sum(`), 1)
}
