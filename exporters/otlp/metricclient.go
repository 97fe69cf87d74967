package otlp

import (
	"context"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"google.golang.org/grpc"
)

// newMetricExporter returns an exporter that makes one attempt per upload: the
// next upload carries the same and more.
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
		otlpmetricgrpc.WithDialOption(grpc.WithConnectParams(connectParams(c.Retry, t.timeout))),
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
		otlpmetrichttp.WithRetry(otlpmetrichttp.RetryConfig{Enabled: false}),
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

// upload sends the metrics of one resource, within the time of one attempt.
func (m *Metrics) upload(ctx context.Context, data *metricdata.ResourceMetrics) error {
	ctx, cancel := context.WithTimeout(ctx, m.timeout)
	defer cancel()
	return m.exporter.Export(ctx, data)
}
