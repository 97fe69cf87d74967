package prometheus

import (
	"cmp"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"

	"lapwing/collectors/text"
	"lapwing/exporters/metrics"
)

// bytesPerSeries is how much of a page there is for each series that there may
// be (metrics.max_series): a line with names of their greatest length fits. It
// holds whatever the names are that a page is made of.
const bytesPerSeries = 400

// What a line has besides its name and labels, and what an exemplar adds.
const (
	lineExtra     = len(` 1.7976931348623157e+308`) + len(`{}`) + 1
	bucketExtra   = len(`_bucket`) + len(`le="0.0001",`)
	exemplarExtra = len(` # {span_id="0123456789abcdef",trace_id="0123456789abcdef0123456789abcdef"} 0.123456789 1700000000.123456789`)
)

// trim leaves out of the page what would make it larger than its budget, and
// returns how many values that are. What concerns single workers and processes
// goes first, the agent's account of itself stays longest; of a metric, what was
// there first stays.
func (p *page) trim() (left int) {
	room := p.snapshot.MaxSeries() * bytesPerSeries
	if room == 0 {
		return 0
	}
	for _, points := range p.byWorth() {
		for i := range points.Points {
			size := p.size(points.Family, &points.Points[i])
			if size > room {
				left += len(points.Points) - i
				points.Points = points.Points[:i]
				break
			}
			room -= size
		}
	}
	return left
}

// byWorth lists the families, the one to keep longest first.
func (p *page) byWorth() []*metrics.FamilyPoints {
	if len(p.worth) != len(p.snapshot.Families) { // they are the same each time
		p.worth = make([]*metrics.FamilyPoints, len(p.snapshot.Families))
		for i := range p.worth {
			p.worth[i] = &p.snapshot.Families[i]
		}
		slices.SortStableFunc(p.worth, func(a, b *metrics.FamilyPoints) int { return cmp.Compare(rank(a.Family), rank(b.Family)) })
	}
	return p.worth
}

func rank(f *metrics.Family) int {
	switch {
	case strings.HasPrefix(f.Name, "lapwing.agent."):
		return 0
	case f == metrics.WorkerState, strings.HasPrefix(f.Name, "process."):
		return 2
	}
	return 1
}

// size is how many bytes the lines of a point have at most.
func (p *page) size(f *metrics.Family, point *metrics.Point) int {
	line := len(p.described(f).GetName()) + len("_created") + lineExtra
	if point.Service != "" {
		line += labelSize("service_name", point.Service)
	}
	for i := range point.Attrs.Len() {
		kv, _ := point.Attrs.Get(i)
		line += labelSize(p.names.of(kv.Key), shortly(kv.Value))
	}
	if f.Kind != metrics.KindHistogram {
		return 2 * line // and the _created one of OpenMetrics
	}
	size := 3*line + len(point.Classic)*(line+bucketExtra)
	for i := range point.Exemplars {
		if point.Exemplars[i].At.Seen() {
			size += exemplarExtra
		}
	}
	return size
}

// shortly is the value as text, without making one of a number.
func shortly(v attribute.Value) string {
	if v.Type() == attribute.STRING {
		return v.AsString()
	}
	return "-9223372036854775808" // no number is longer
}

// labelSize counts what becomes two characters in text.
func labelSize(name, value string) int {
	value = text.Show(value)
	return len(name) + len(value) + strings.Count(value, `\`) + strings.Count(value, `"`) + strings.Count(value, "\n") + len(`="",`)
}
