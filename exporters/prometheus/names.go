package prometheus

import (
	"fmt"

	"github.com/prometheus/otlptranslator"
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"lapwing/exporters/metrics"
)

// reserved are the metrics whose translated names would end in _count.
// Prometheus reserves this suffix for parts of histograms, and promtool
// complains about it.
var reserved = map[string]string{
	"process.thread.count":               "process.threads",
	"process.unix.file_descriptor.count": "process.unix.file_descriptors",
}

var translatorTypes = map[metrics.Kind]otlptranslator.MetricType{
	metrics.KindCounter:   otlptranslator.MetricTypeMonotonicCounter,
	metrics.KindGauge:     otlptranslator.MetricTypeNonMonotonicCounter,
	metrics.KindHistogram: otlptranslator.MetricTypeHistogram,
}

// Name returns the name of a metric in Prometheus.
func Name(f *metrics.Family) string {
	name, ok := reserved[f.Name]
	if !ok {
		name = f.Name
	}
	namer := otlptranslator.NewMetricNamer("", otlptranslator.UnderscoreEscapingWithSuffixes)
	translated, err := namer.Build(otlptranslator.Metric{Name: name, Unit: f.Unit, Type: translatorTypes[f.Kind]})
	if err != nil {
		panic(fmt.Sprintf("prometheus: metric %s has no name: %v", f.Name, err)) // a test covers all names
	}
	return translated
}

// labelNames translates attribute keys, each once.
type labelNames map[attribute.Key]string

func (n labelNames) of(key attribute.Key) string {
	if name, ok := n[key]; ok {
		return name
	}
	name, err := (&otlptranslator.LabelNamer{}).Build(string(key))
	if err != nil {
		panic(fmt.Sprintf("prometheus: attribute %s has no name: %v", key, err))
	}
	n[key] = name
	return name
}

// serviceLabel is the key whose translation is the label of the service.
const serviceLabel = semconv.ServiceNameKey
