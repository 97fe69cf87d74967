package prometheus

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"

	client "github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.opentelemetry.io/otel/attribute"
	"google.golang.org/protobuf/proto"

	"lapwing/collectors/request"
	"lapwing/collectors/text"
	"lapwing/exporters/metrics"
)

// gatherer converts snapshots to the form of client_golang. Each scrape in
// progress has a page of its own, which later scrapes reuse.
type gatherer struct {
	read   func(*metrics.Snapshot)
	clock  *request.Clock
	native bool // with native histograms, which the text format cannot represent
	pages  chan *page
	left   *leftOut
}

// leftOut counts the values that were left out of pages since the start.
type leftOut struct {
	since  time.Time
	values atomic.Uint64
}

var _ client.TransactionalGatherer = (*gatherer)(nil)

func newGatherer(read func(*metrics.Snapshot), clock *request.Clock, native bool, left *leftOut) *gatherer {
	return &gatherer{read: read, clock: clock, native: native, pages: make(chan *page, maxScrapes), left: left}
}

// Gather implements client_golang's interface. The families are valid until
// done is called.
func (g *gatherer) Gather() (families []*dto.MetricFamily, done func(), err error) {
	p := g.take()
	g.read(&p.snapshot)
	left := g.left.values.Add(uint64(p.trim()))
	p.snapshot.Add(metrics.AgentLeftOut, "", g.left.since, float64(left))
	return p.fill(), func() { g.give(p) }, nil
}

func (g *gatherer) take() *page {
	select {
	case p := <-g.pages:
		return p
	default:
		return newPage(g.clock, g.native)
	}
}

func (g *gatherer) give(p *page) {
	select {
	case g.pages <- p:
	default:
	}
}

var familyTypes = map[metrics.Kind]dto.MetricType{
	metrics.KindCounter:   dto.MetricType_COUNTER,
	metrics.KindGauge:     dto.MetricType_GAUGE,
	metrics.KindHistogram: dto.MetricType_HISTOGRAM,
}

// newFamily returns the description of a metric, without values.
func newFamily(f *metrics.Family) *dto.MetricFamily {
	return &dto.MetricFamily{
		Name: proto.String(Name(f)),
		Help: proto.String(f.Description),
		Type: familyTypes[f.Kind].Enum(),
	}
}

// fill creates the families of the page's snapshot. Families without values are
// left out, because Prometheus does not use them.
func (p *page) fill() []*dto.MetricFamily {
	p.reset()
	for _, points := range p.snapshot.Families {
		if len(points.Points) == 0 {
			continue
		}
		family := p.family(points.Family)
		for i := range points.Points {
			family.Metric = append(family.Metric, p.metric(points.Family, &points.Points[i]))
		}
		p.out = append(p.out, family)
	}
	slices.SortFunc(p.out, func(a, b *dto.MetricFamily) int { return cmp.Compare(a.GetName(), b.GetName()) })
	return p.out
}

func (p *page) metric(f *metrics.Family, point *metrics.Point) *dto.Metric {
	m := p.metrics.Next()
	m.metric.Label = p.labels(m.metric.Label[:0], point)
	switch f.Kind {
	case metrics.KindCounter:
		m.counter.Value = &m.value
		m.counter.CreatedTimestamp = created(&m.created, point)
		m.metric.Counter, m.metric.Gauge, m.metric.Histogram = &m.counter, nil, nil
	case metrics.KindGauge:
		m.gauge.Value = &m.value
		m.metric.Counter, m.metric.Gauge, m.metric.Histogram = nil, &m.gauge, nil
	case metrics.KindHistogram:
		m.metric.Counter, m.metric.Gauge, m.metric.Histogram = nil, nil, p.histogram(f, point)
	}
	m.value = point.Value
	return &m.metric
}

// labels appends the service and the attributes, sorted by name as readers
// expect.
func (p *page) labels(labels []*dto.LabelPair, point *metrics.Point) []*dto.LabelPair {
	if point.Service != "" {
		labels = append(labels, p.label(serviceLabel.String(point.Service)))
	}
	for i := range point.Attrs.Len() {
		kv, _ := point.Attrs.Get(i)
		labels = append(labels, p.label(kv))
	}
	slices.SortFunc(labels, func(a, b *dto.LabelPair) int { return cmp.Compare(*a.Name, *b.Name) })
	return labels
}

func (p *page) label(kv attribute.KeyValue) *dto.LabelPair {
	l := p.pairs.Next()
	l.name, l.value = p.names.of(kv.Key), text.Show(kv.Value.String())
	l.pair.Name, l.pair.Value = &l.name, &l.value
	return &l.pair
}
