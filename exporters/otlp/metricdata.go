package otlp

import (
	"cmp"
	"os"
	"slices"

	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"lapwing/collectors/request"
	"lapwing/exporters/metrics"
)

// metricBuilder turns snapshots into the SDK's form, grouped by service.
type metricBuilder struct {
	clock       *request.Clock
	resources   *resources
	exponential bool
	scope       instrumentation.Scope
	services    map[string]*resource.Resource
}

func newMetricBuilder(clock *request.Clock, res *resources, exponential bool) *metricBuilder {
	return &metricBuilder{
		clock:       clock,
		resources:   res,
		exponential: exponential,
		scope:       instrumentation.Scope{Name: scopeName, Version: res.version, SchemaURL: semconv.SchemaURL},
		services:    make(map[string]*resource.Resource),
	}
}

// build returns the metrics of each service, sorted by service.
func (b *metricBuilder) build(s *metrics.Snapshot) []*metricdata.ResourceMetrics {
	groups := make(map[string][]metricdata.Metrics)
	for i := range s.Families {
		family := &s.Families[i]
		slices.SortStableFunc(family.Points, func(x, y metrics.Point) int { return cmp.Compare(serviceOf(x), serviceOf(y)) })
		for points := family.Points; len(points) > 0; {
			service, n := serviceOf(points[0]), 1
			for n < len(points) && serviceOf(points[n]) == service {
				n++
			}
			groups[service] = append(groups[service], b.metric(family.Family, points[:n], s))
			points = points[n:]
		}
	}
	return b.batch(groups)
}

// serviceOf returns the service whose resource a point belongs to.
func serviceOf(p metrics.Point) string {
	if p.Service == "" {
		return metrics.AgentService
	}
	return p.Service
}

func (b *metricBuilder) batch(groups map[string][]metricdata.Metrics) []*metricdata.ResourceMetrics {
	if len(b.services) > maxGroups {
		clear(b.services)
	}
	var batch []*metricdata.ResourceMetrics
	for service, list := range groups {
		batch = append(batch, &metricdata.ResourceMetrics{
			Resource:     b.resource(service),
			ScopeMetrics: []metricdata.ScopeMetrics{{Scope: b.scope, Metrics: list}},
		})
	}
	slices.SortFunc(batch, func(x, y *metricdata.ResourceMetrics) int {
		return cmp.Compare(x.Resource.String(), y.Resource.String())
	})
	return batch
}

func (b *metricBuilder) resource(service string) *resource.Resource {
	r, ok := b.services[service]
	if !ok {
		attrs := b.resources.attributes(service)
		if service == metrics.AgentService {
			attrs = append(attrs, semconv.ProcessPID(os.Getpid()))
		}
		r = resource.NewWithAttributes(semconv.SchemaURL, attrs...)
		b.services[service] = r
	}
	return r
}

// metric returns one metric of one service.
func (b *metricBuilder) metric(f *metrics.Family, points []metrics.Point, s *metrics.Snapshot) metricdata.Metrics {
	m := metricdata.Metrics{Name: f.Name, Description: f.Description, Unit: f.Unit}
	switch {
	case f.Kind != metrics.KindHistogram:
		m.Data = b.sum(f, points, s)
	case b.exponential:
		m.Data = b.exponentialHistogram(points, s)
	default:
		m.Data = b.explicitHistogram(f, points, s)
	}
	return m
}

// sum returns a counter, or what OpenTelemetry calls an up-down counter: the
// values of services and processes can be added up.
func (b *metricBuilder) sum(f *metrics.Family, points []metrics.Point, s *metrics.Snapshot) metricdata.Aggregation {
	if f.Unit == "s" {
		return metricdata.Sum[float64]{
			DataPoints: values(points, s, func(v float64) float64 { return v }), Temporality: metricdata.CumulativeTemporality, IsMonotonic: f.Kind == metrics.KindCounter,
		}
	}
	return metricdata.Sum[int64]{
		DataPoints: values(points, s, func(v float64) int64 { return int64(v) }), Temporality: metricdata.CumulativeTemporality, IsMonotonic: f.Kind == metrics.KindCounter,
	}
}

func values[N int64 | float64](points []metrics.Point, s *metrics.Snapshot, of func(float64) N) []metricdata.DataPoint[N] {
	out := make([]metricdata.DataPoint[N], len(points))
	for i, p := range points {
		out[i] = metricdata.DataPoint[N]{Attributes: p.Attrs, StartTime: p.Start, Time: s.At, Value: of(p.Value)}
	}
	return out
}

func (b *metricBuilder) explicitHistogram(f *metrics.Family, points []metrics.Point, s *metrics.Snapshot) metricdata.Histogram[float64] {
	out := make([]metricdata.HistogramDataPoint[float64], len(points))
	for i, p := range points {
		out[i] = metricdata.HistogramDataPoint[float64]{
			Attributes: p.Attrs, StartTime: p.Start, Time: s.At, Count: p.Count, Sum: p.Sum,
			Bounds: f.Bounds, BucketCounts: p.Classic, Exemplars: b.exemplars(p),
		}
	}
	return metricdata.Histogram[float64]{DataPoints: out, Temporality: metricdata.CumulativeTemporality}
}

func (b *metricBuilder) exponentialHistogram(points []metrics.Point, s *metrics.Snapshot) metricdata.ExponentialHistogram[float64] {
	out := make([]metricdata.ExponentialHistogramDataPoint[float64], len(points))
	for i, p := range points {
		out[i] = metricdata.ExponentialHistogramDataPoint[float64]{
			Attributes: p.Attrs, StartTime: p.Start, Time: s.At, Count: p.Count, Sum: p.Sum,
			Scale: metrics.Scale, ZeroCount: p.Zero,
			PositiveBucket: metricdata.ExponentialBucket{Offset: p.Offset, Counts: p.Exponential},
			Exemplars:      b.exemplars(p),
		}
	}
	return metricdata.ExponentialHistogram[float64]{DataPoints: out, Temporality: metricdata.CumulativeTemporality}
}

func (b *metricBuilder) exemplars(p metrics.Point) []metricdata.Exemplar[float64] {
	var out []metricdata.Exemplar[float64]
	for i := range p.Exemplars {
		e := &p.Exemplars[i]
		if e.At.Seen() {
			out = append(out, metricdata.Exemplar[float64]{
				Time: b.clock.Time(e.At), Value: e.Value, TraceID: e.TraceID[:], SpanID: e.SpanID[:],
			})
		}
	}
	return out
}
