package prometheus

import (
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"

	"lapwing/collectors/request"
	"lapwing/exporters/internal/slab"
	"lapwing/exporters/metrics"
)

// page holds the data of one scrape: a snapshot and the messages that are made
// from it. All of them are reused.
type page struct {
	clock    *request.Clock
	snapshot metrics.Snapshot
	names    labelNames
	families map[*metrics.Family]*dto.MetricFamily
	out      []*dto.MetricFamily
	worth    []*metrics.FamilyPoints // families of the snapshot, see trim

	metrics    slab.Slab[metricSpace]
	pairs      slab.Slab[pairSpace]
	histograms slab.Slab[histogramSpace]
	buckets    slab.Slab[bucketSpace]
	exemplars  slab.Slab[exemplarSpace]
	spans      slab.Slab[spanSpace]
}

// Each space holds a message and the values that it points to.
type (
	metricSpace struct {
		metric  dto.Metric
		counter dto.Counter
		gauge   dto.Gauge
		created timestamppb.Timestamp
		value   float64
	}
	pairSpace struct {
		pair        dto.LabelPair
		name, value string
	}
	histogramSpace struct {
		histogram dto.Histogram
		created   timestamppb.Timestamp
		count     uint64
		sum       float64
		schema    int32
		zero      uint64
		threshold float64
	}
	bucketSpace struct {
		bucket dto.Bucket
		count  uint64
	}
	exemplarSpace struct {
		exemplar dto.Exemplar
		at       timestamppb.Timestamp
		value    float64
	}
	spanSpace struct {
		span   dto.BucketSpan
		offset int32
		length uint32
	}
)

func newPage(clock *request.Clock, native bool) *page {
	return &page{clock: clock, snapshot: metrics.Snapshot{Exponential: native}, names: labelNames{}, families: map[*metrics.Family]*dto.MetricFamily{}}
}

func (p *page) reset() {
	p.out = p.out[:0]
	p.metrics.Reset()
	p.pairs.Reset()
	p.histograms.Reset()
	p.buckets.Reset()
	p.exemplars.Reset()
	p.spans.Reset()
}

// described returns the description of a metric. It is created once.
func (p *page) described(f *metrics.Family) *dto.MetricFamily {
	family, ok := p.families[f]
	if !ok {
		family = newFamily(f)
		p.families[f] = family
	}
	return family
}

// family returns a metric without values.
func (p *page) family(f *metrics.Family) *dto.MetricFamily {
	family := p.described(f)
	family.Metric = family.Metric[:0]
	return family
}

// created returns the time since when a point is counted, nil if it is unknown.
func created(space *timestamppb.Timestamp, point *metrics.Point) *timestamppb.Timestamp {
	if point.Start.IsZero() {
		return nil
	}
	setTime(space, point.Start.UnixNano())
	return space
}

func setTime(t *timestamppb.Timestamp, unixNano int64) {
	t.Seconds, t.Nanos = unixNano/1e9, int32(unixNano%1e9)
}
