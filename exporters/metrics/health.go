package metrics

import (
	"go.opentelemetry.io/otel/attribute"

	"lapwing/exporters/health"
)

// agentFamilies are the metrics of the agent's account of itself.
var agentFamilies = familiesOf(health.Table)

func familiesOf(table []*health.Counter) map[*health.Counter]*Family {
	families := make(map[*health.Counter]*Family, len(table))
	for _, c := range table {
		if c.Metric == "" {
			continue
		}
		kind := KindCounter
		if c.Gauge {
			kind = KindGauge
		}
		families[c] = &Family{Name: c.Metric, Unit: c.Unit, Kind: kind, Description: c.Plain()}
	}
	return families
}

// Of returns the metric of one of the agent's counters, nil if it has none.
func Of(c *health.Counter) *Family { return agentFamilies[c] }

// Health returns the agent's account of itself as a source.
func Health(read health.Func) Source {
	return SourceFunc(func(s *Snapshot) {
		h := read()
		for _, c := range health.Table {
			if f := Of(c); f != nil {
				s.addCounter(f, c, h)
			}
		}
	})
}

// addCounter adds a single number even if it is 0, and the numbers of causes
// that occurred.
func (s *Snapshot) addCounter(f *Family, c *health.Counter, h health.Health) {
	if len(c.By) == 0 {
		s.Add(f, "", began, float64(h.Total(c)))
		return
	}
	for _, labels := range h.Sorted(c) {
		attrs := make([]attribute.KeyValue, len(c.By))
		for i, name := range c.By {
			attrs[i] = attribute.String(name, labels[i])
		}
		s.Add(f, "", began, float64(h[c][labels]), attrs...)
	}
}
