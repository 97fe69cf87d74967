package dashboards

import (
	"fmt"
	"strings"
)

// Selectors in the panels: the hosts and services that are chosen, one
// service, the hosts alone.
const (
	chosen  = `{instance=~"$host",service_name=~"$service"}`
	hosts   = `{instance=~"$host"}`
	perStep = `[$__rate_interval]`
	overAll = `[$__range]`
)

// where is a selector of the chosen hosts and services and one thing more.
func where(more string) string { return strings.TrimSuffix(chosen, "}") + "," + more + "}" }

// rate is how fast counters grow per second.
func rate(series, selector string) string { return "rate(" + series + selector + perStep + ")" }

// growth is how much counters grew over the time range of the dashboard.
func growth(series, selector string) string { return "increase(" + series + selector + overAll + ")" }

// sum adds series up, apart by the labels given.
func sum(expr string, by ...string) string {
	if len(by) == 0 {
		return "sum(" + expr + ")"
	}
	return fmt.Sprintf("sum by (%s) (%s)", strings.Join(by, ", "), expr)
}

// quantile of a histogram's buckets, apart by the labels given.
func quantile(q, buckets string, by ...string) string {
	return fmt.Sprintf("histogram_quantile(%s, %s)", q, sum(buckets, append(by, "le")...))
}

// orZero is 0 where nothing was counted yet, instead of nothing.
func orZero(expr string) string { return "(" + expr + " or vector(0))" }

// each divides seconds per second by requests per second: seconds of each
// request, on the average, apart by the labels of the first.
func each(seconds, requests string) string {
	return seconds + " / on () group_left () " + requests
}

// graph is a query for a line per series.
func graph(expr, legend string) Target {
	return Target{Source: Prometheus, Expr: expr, LegendFormat: legend, Range: true}
}

// heat is a query for the buckets of a histogram, with its exemplars.
func heat(expr string) Target {
	t := graph(expr, "{{le}}")
	t.Format, t.Exemplar = "heatmap", true
	return t
}

// column is a query for one column of a table: its value now.
func column(expr string) Target {
	return Target{Source: Prometheus, Expr: expr, Format: "table", Instant: true}
}

// traces is a TraceQL query for a table of traces.
func traces(query string) Target {
	return Target{Source: Tempo, QueryType: "traceql", Query: query, TableType: "traces", Limit: 20, Filters: []object{}}
}

// spans is a TraceQL query for a table of spans.
func spans(query string) Target {
	t := traces(query)
	t.TableType = "spans"
	return t
}
