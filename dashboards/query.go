package dashboards

import (
	"fmt"
	"strings"
)

// The selectors in the panels: the chosen hosts and services, one service, only
// the hosts.
const (
	chosen  = `{instance=~"$host",service_name=~"$service"}`
	hosts   = `{instance=~"$host"}`
	perStep = `[$__rate_interval]`
	overAll = `[$__range]`
)

// where returns a selector of the chosen hosts and services with one more
// condition.
func where(more string) string { return strings.TrimSuffix(chosen, "}") + "," + more + "}" }

// rate returns the growth of counters per second.
func rate(series, selector string) string { return "rate(" + series + selector + perStep + ")" }

// growth returns the growth of counters over the time range of the dashboard.
func growth(series, selector string) string { return "increase(" + series + selector + overAll + ")" }

// sum adds series up by the given labels.
func sum(expr string, by ...string) string {
	if len(by) == 0 {
		return "sum(" + expr + ")"
	}
	return fmt.Sprintf("sum by (%s) (%s)", strings.Join(by, ", "), expr)
}

// quantile returns a quantile of a histogram's buckets by the given labels.
func quantile(q, buckets string, by ...string) string {
	return fmt.Sprintf("histogram_quantile(%s, %s)", q, sum(buckets, append(by, "le")...))
}

// orZero returns 0 instead of an empty result if nothing was counted yet.
func orZero(expr string) string { return "(" + expr + " or vector(0))" }

// each divides seconds per second by requests per second. The result is the
// average seconds per request, by the labels of the first.
func each(seconds, requests string) string {
	return seconds + " / on () group_left () " + requests
}

// graph returns a query for a line per series.
func graph(expr, legend string) Target {
	return Target{Source: Prometheus, Expr: expr, LegendFormat: legend, Range: true}
}

// heat returns a query for the buckets of a histogram, with its exemplars.
func heat(expr string) Target {
	t := graph(expr, "{{le}}")
	t.Format, t.Exemplar = "heatmap", true
	return t
}

// column returns a query for one column of a table: the current value.
func column(expr string) Target {
	return Target{Source: Prometheus, Expr: expr, Format: "table", Instant: true}
}

// traces returns a TraceQL query for a table of traces.
func traces(query string) Target {
	return Target{Source: Tempo, QueryType: "traceql", Query: query, TableType: "traces", Limit: 20, Filters: []object{}}
}

// spans returns a TraceQL query for a table of spans.
func spans(query string) Target {
	t := traces(query)
	t.TableType = "spans"
	return t
}
