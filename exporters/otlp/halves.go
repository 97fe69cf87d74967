package otlp

import (
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// halves divides the metrics of one resource in two: by metrics, or a single
// metric by its values. ok is false for a single value.
func halves(data *metricdata.ResourceMetrics) (first, second *metricdata.ResourceMetrics, ok bool) {
	list := data.ScopeMetrics[0].Metrics
	if len(list) > 1 {
		half := len(list) / 2
		return withMetrics(data, list[:half]), withMetrics(data, list[half:]), true
	}
	a, b, ok := halveValues(list[0].Data)
	if !ok {
		return nil, nil, false
	}
	return withMetrics(data, []metricdata.Metrics{withData(list[0], a)}), withMetrics(data, []metricdata.Metrics{withData(list[0], b)}), true
}

func withMetrics(data *metricdata.ResourceMetrics, list []metricdata.Metrics) *metricdata.ResourceMetrics {
	scope := metricdata.ScopeMetrics{Scope: data.ScopeMetrics[0].Scope, Metrics: list}
	return &metricdata.ResourceMetrics{Resource: data.Resource, ScopeMetrics: []metricdata.ScopeMetrics{scope}}
}

func withData(m metricdata.Metrics, data metricdata.Aggregation) metricdata.Metrics {
	m.Data = data
	return m
}

// halveValues divides the values that metricBuilder creates.
func halveValues(data metricdata.Aggregation) (a, b metricdata.Aggregation, ok bool) {
	switch d := data.(type) {
	case metricdata.Sum[int64]:
		x, y := d, d
		x.DataPoints, y.DataPoints, ok = halve(d.DataPoints)
		return x, y, ok
	case metricdata.Sum[float64]:
		x, y := d, d
		x.DataPoints, y.DataPoints, ok = halve(d.DataPoints)
		return x, y, ok
	case metricdata.Histogram[float64]:
		x, y := d, d
		x.DataPoints, y.DataPoints, ok = halve(d.DataPoints)
		return x, y, ok
	case metricdata.ExponentialHistogram[float64]:
		x, y := d, d
		x.DataPoints, y.DataPoints, ok = halve(d.DataPoints)
		return x, y, ok
	}
	return nil, nil, false
}

func halve[P any](points []P) (a, b []P, ok bool) {
	half := len(points) / 2
	return points[:half], points[half:], half > 0
}
