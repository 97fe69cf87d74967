package prometheus

import (
	"cmp"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"

	"lapwing/collectors/text"
	"lapwing/exporters/metrics"
)

// bytesPerSeries is the size of a page for each series that is allowed
// (metrics.max_series), in bytes. A line with names of the greatest length
// fits. So the page has a limit whatever names it contains.
const bytesPerSeries = 400

// The size of a line without its name and labels, and that of an exemplar.
const (
	lineExtra     = len(` 1.7976931348623157e+308`) + len(`{}`) + 1
	bucketExtra   = len(`_bucket`) + len(`le="0.0001",`)
	exemplarExtra = len(` # {span_id="0123456789abcdef",trace_id="0123456789abcdef0123456789abcdef"} 0.123456789 1700000000.123456789`)
)

// trim removes from the page what would exceed its budget, and returns the
// number of removed values. The values of single workers and processes are
// removed first, the agent's account of itself last. Within a metric, the
// earlier values stay.
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

// byWorth lists the families, the most important one first.
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

// size returns the highest number of bytes of the lines of a point.
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
		return 2 * line // and the _created line of OpenMetrics
	}
	size := 3*line + len(point.Classic)*(line+bucketExtra)
	for i := range point.Exemplars {
		if point.Exemplars[i].At.Seen() {
			size += exemplarExtra
		}
	}
	return size
}

// shortly returns the value as text, without converting a number.
func shortly(v attribute.Value) string {
	if v.Type() == attribute.STRING {
		return v.AsString()
	}
	return "-9223372036854775808" // no number is longer
}

// labelSize counts characters that are escaped as two in text twice.
func labelSize(name, value string) int {
	value = text.Show(value)
	return len(name) + len(value) + strings.Count(value, `\`) + strings.Count(value, `"`) + strings.Count(value, "\n") + len(`="",`)
}
