package otlp

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"lapwing/exporters"
)

// agentService is the service name of the agent itself.
const agentService = "lapwing"

// The attributes of the health metrics.
const (
	keyCause    = attribute.Key("cause")
	keyReason   = attribute.Key("reason")
	keyExporter = attribute.Key("exporter")
)

// Health sends the agent's account of itself as metrics, at an interval.
type Health struct{ provider *sdkmetric.MeterProvider }

// NewHealth starts to send what health returns. log hears of outages, once
// each. Without an endpoint the error is ErrNoEndpoint.
func NewHealth(c Config, health exporters.HealthFunc, log *slog.Logger, opts ...Option) (*Health, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	to, err := c.target(metrics)
	if err != nil {
		return nil, err
	}
	res, err := newResources(context.Background(), opts...)
	if err != nil {
		return nil, err
	}
	exporter, err := newMetricExporter(c, to)
	if err != nil {
		return nil, fmt.Errorf("preparing the export to %s: %w", to, err)
	}
	reported := &reportingExporter{exporter, outage{log: log.With("endpoint", to.String()), what: "metrics"}}
	provider := sdkmetric.NewMeterProvider(
		sdkmetric.WithResource(resource.NewWithAttributes(semconv.SchemaURL,
			append(res.attributes(agentService), semconv.ProcessPID(os.Getpid()))...)),
		sdkmetric.WithReader(sdkmetric.NewPeriodicReader(reported, readerOptions(c.Health)...)),
	)
	if err := observeHealth(provider.Meter(scopeName, metric.WithInstrumentationVersion(res.version)), health); err != nil {
		return nil, fmt.Errorf("registering the health metrics: %w", err)
	}
	return &Health{provider}, nil
}

// Shutdown sends the last values, within ctx.
func (h *Health) Shutdown(ctx context.Context) error {
	if err := h.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("sending the last health metrics: %w", err)
	}
	return nil
}

func readerOptions(c HealthConfig) []sdkmetric.PeriodicReaderOption {
	if c.Interval == 0 {
		return nil
	}
	return []sdkmetric.PeriodicReaderOption{sdkmetric.WithInterval(c.Interval)}
}

func newMetricExporter(c Config, t target) (sdkmetric.Exporter, error) {
	if t.protocol == ProtocolGRPC {
		return newGRPCMetrics(c, t)
	}
	return newHTTPMetrics(c, t)
}

func newGRPCMetrics(c Config, t target) (sdkmetric.Exporter, error) {
	opts := []otlpmetricgrpc.Option{
		otlpmetricgrpc.WithEndpoint(t.host),
		otlpmetricgrpc.WithTLSCredentials(t.credentials()),
		otlpmetricgrpc.WithTimeout(t.timeout),
	}
	if c.Headers != nil {
		opts = append(opts, otlpmetricgrpc.WithHeaders(c.Headers))
	}
	switch c.Compression {
	case CompressionGzip:
		opts = append(opts, otlpmetricgrpc.WithCompressor(CompressionGzip))
	case CompressionNone:
		opts = append(opts, otlpmetricgrpc.WithDialOption(uncompressed))
	}
	return otlpmetricgrpc.New(context.Background(), opts...)
}

func newHTTPMetrics(c Config, t target) (sdkmetric.Exporter, error) {
	opts := []otlpmetrichttp.Option{
		otlpmetrichttp.WithEndpointURL(t.String()),
		otlpmetrichttp.WithTLSClientConfig(t.tls),
		otlpmetrichttp.WithTimeout(t.timeout),
	}
	if c.Headers != nil {
		opts = append(opts, otlpmetrichttp.WithHeaders(c.Headers))
	}
	switch c.Compression {
	case CompressionGzip:
		opts = append(opts, otlpmetrichttp.WithCompression(otlpmetrichttp.GzipCompression))
	case CompressionNone:
		opts = append(opts, otlpmetrichttp.WithCompression(otlpmetrichttp.NoCompression))
	}
	return otlpmetrichttp.New(context.Background(), opts...)
}

// reportingExporter logs outages. The reader's way of reporting is a global
// handler that prints every failure.
type reportingExporter struct {
	sdkmetric.Exporter
	outage outage
}

// Export sends the metrics. A failure is no loss: the counters are cumulative,
// so the next upload carries what this one did not.
func (e *reportingExporter) Export(ctx context.Context, data *metricdata.ResourceMetrics) error {
	if err := e.Exporter.Export(ctx, data); err != nil {
		e.outage.begin(err)
		return nil
	}
	e.outage.end()
	return nil
}

// observeHealth registers the instruments and one callback that takes one
// snapshot for all of them.
func observeHealth(m metric.Meter, health exporters.HealthFunc) error {
	i := instruments{meter: m}
	requests := i.counter("lapwing.agent.requests", "{request}", "Finished requests handed to exporters.")
	incomplete := i.counter("lapwing.agent.requests.incomplete", "{request}", "Requests that ended without a complete response.")
	lost := i.counter("lapwing.agent.requests.lost", "{request}", "Finished requests that never reached an exporter.")
	missed := i.counter("lapwing.agent.requests.missed_start", "{request}", "Requests in flight when the agent started, therefore not measured.")
	unknown := i.counter("lapwing.agent.connections.unknown", "{connection}", "Connections that spoke no known protocol.")
	tunnels := i.counter("lapwing.agent.connections.tunnels", "{connection}", "Connections that became tunnels.")
	dropped := i.counter("lapwing.agent.exporter.dropped", "{request}", "Requests that a destination did not get.")
	if i.err != nil {
		return i.err
	}
	_, err := m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		h := health()
		o.ObserveInt64(requests, int64(h.Requests))
		o.ObserveInt64(incomplete, int64(h.Incomplete))
		o.ObserveInt64(tunnels, int64(h.Tunnels))
		observeBy(o, lost, keyCause, h.Lost)
		observeBy(o, missed, keyCause, h.MissedStart)
		observeBy(o, unknown, keyReason, h.Unknown)
		for exporter, causes := range h.Dropped {
			observeBy(o, dropped, keyCause, causes, keyExporter.String(exporter))
		}
		return nil
	}, i.all...)
	return err
}

// instruments creates counters and keeps the first error.
type instruments struct {
	meter metric.Meter
	all   []metric.Observable
	err   error
}

func (i *instruments) counter(name, unit, description string) metric.Int64ObservableCounter {
	c, err := i.meter.Int64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(description))
	if err != nil && i.err == nil {
		i.err = err
	}
	i.all = append(i.all, c)
	return c
}

// observeBy observes one value per key of counts, as the attribute key.
func observeBy(o metric.Observer, c metric.Int64ObservableCounter, key attribute.Key, counts map[string]uint64, more ...attribute.KeyValue) {
	for name, n := range counts {
		o.ObserveInt64(c, int64(n), metric.WithAttributes(append(more[:len(more):len(more)], key.String(name))...))
	}
}
