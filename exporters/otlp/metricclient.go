package otlp

import (
	"context"
	"errors"
	"net/http"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// newMetricExporter returns an exporter that makes one attempt per upload: the
// next upload carries the same values and newer ones.
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
		otlpmetricgrpc.WithRetry(otlpmetricgrpc.RetryConfig{Enabled: false}),
		otlpmetricgrpc.WithDialOption(dialOptions(c, t, limitMessage)...),
	}
	if c.Headers != nil {
		opts = append(opts, otlpmetricgrpc.WithHeaders(c.Headers))
	}
	if c.Compression == CompressionGzip {
		opts = append(opts, otlpmetricgrpc.WithCompressor(CompressionGzip))
	}
	return otlpmetricgrpc.New(context.Background(), opts...)
}

func newHTTPMetrics(c Config, t target) (sdkmetric.Exporter, error) {
	opts := []otlpmetrichttp.Option{
		otlpmetrichttp.WithEndpointURL(t.String()),
		otlpmetrichttp.WithHTTPClient(&http.Client{Transport: metricTransport(c, t)}),
		otlpmetrichttp.WithCompression(otlpmetrichttp.NoCompression), // metricTransport compresses
		otlpmetrichttp.WithTimeout(t.timeout),
		otlpmetrichttp.WithRetry(otlpmetrichttp.RetryConfig{Enabled: false}),
	}
	if c.Headers != nil {
		opts = append(opts, otlpmetrichttp.WithHeaders(c.Headers))
	}
	return otlpmetrichttp.New(context.Background(), opts...)
}

// metricTransport returns the transport of metrics over HTTP.
func metricTransport(c Config, t target) http.RoundTripper {
	transport := bodyTransport{base: newTransport(t), zip: c.zipped(metricsSignal)}
	if t.protocol == ProtocolHTTPJSON {
		transport.base, transport.recode = jsonAnswers{transport.base}, metricsJSON
	}
	return transport
}

// upload sends the metrics of one resource, in as many parts as the size limit
// of an upload requires. A single value that is too large is dropped and
// counted.
func (m *Metrics) upload(ctx context.Context, data *metricdata.ResourceMetrics) error {
	err := m.attempt(ctx, data)
	if !errors.Is(err, errTooLarge) {
		return err
	}
	first, second, ok := halves(data)
	if !ok {
		m.tooLarge.Add(1)
		return nil
	}
	err = m.upload(ctx, first)
	if ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return errors.Join(err, m.upload(ctx, second))
}

// attempt sends an upload, within the timeout of one attempt.
func (m *Metrics) attempt(ctx context.Context, data *metricdata.ResourceMetrics) error {
	ctx, cancel := context.WithTimeout(ctx, m.timeout)
	defer cancel()
	return m.exporter.Export(ctx, data)
}
