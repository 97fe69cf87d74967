package prometheus

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/otel/attribute"

	"lapwing/exporters/metrics"
)

// TestPageHasABudget has a source of values with unlimited labels.
func TestPageHasABudget(t *testing.T) {
	for _, accept := range []string{"", "application/openmetrics-text"} {
		a := metrics.New(metrics.Config{MaxLabelSets: 2000, MaxSeries: metrics.MinSeries})
		const hostile, size = 40, 500 << 10
		a.AddSource(metrics.SourceFunc(func(s *metrics.Snapshot) {
			for i := range hostile {
				s.Add(metrics.WorkerState, fmt.Sprint(i, strings.Repeat("\x1b\"\\", size/3)), time.Time{}, 1)
			}
		}))
		for range 3 {
			a.Export(finished("shop", "/orders/{id}", 200))
		}
		url, _ := serve(t, Config{}, a)
		_, page := get(t, url+"/metrics", accept)
		assert.Less(t, len(page), metrics.MinSeries*bytesPerSeries)
		assert.Contains(t, page, `service_name="shop"`, "the others' values stay")
		assert.Regexp(t, `(?m)^lapwing_agent_scrape_left_out_total [1-9][0-9]+(\.0)?$`, page)
		first := strings.Count(page, "lapwing_worker_state{")
		assert.Positive(t, first)
		assert.Contains(t, page, fmt.Sprintf("lapwing_agent_scrape_left_out_total %d", hostile-first))
	}
}

// TestBudgetIsNotReached has the highest allowed number of series, with the
// longest names of services.
func TestBudgetIsNotReached(t *testing.T) {
	a := metrics.New(metrics.Config{MaxLabelSets: 2000, MaxSeries: metrics.MinSeries})
	for i := range 300 {
		for range 2 {
			r := finished(fmt.Sprintf("%064d", i), "/"+strings.Repeat("{route}", 8), 503)
			r.Detail = heads{10, 20}
			a.Export(r)
			a.Remember(r)
		}
	}
	url, _ := serve(t, Config{}, a)
	for _, accept := range []string{"", "application/openmetrics-text"} {
		_, page := get(t, url+"/metrics", accept)
		assert.Contains(t, page, "lapwing_agent_scrape_left_out_total 0")
		assert.Greater(t, len(page), 2<<20)
	}
}

// TestSizeIsAnUpperBound compares size with pages, without their descriptions.
func TestSizeIsAnUpperBound(t *testing.T) {
	a := full()
	a.AddSource(metrics.SourceFunc(func(s *metrics.Snapshot) {
		s.Add(metrics.BacklogLength, "a\"b\\c\nd", time.Time{}, 3, attribute.String("address", "unix:/run/\x1b[31m\u202e"))
	}))
	url, _ := serve(t, Config{}, a)
	p := newPage(nil, false)
	a.Read(&p.snapshot)
	bound := 0
	for _, family := range p.snapshot.Families {
		for i := range family.Points {
			bound += p.size(family.Family, &family.Points[i])
		}
	}
	lines := 0
	_, page := get(t, url+"/metrics", "application/openmetrics-text")
	for line := range strings.Lines(page) {
		if !strings.HasPrefix(line, "#") && !strings.Contains(line, "scrape_left_out") {
			lines += len(line)
		}
	}
	assert.LessOrEqual(t, lines, bound)
	assert.Less(t, bound, 2*lines)
}
