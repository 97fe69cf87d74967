package otlp

import (
	"fmt"
	"net/url"
	"time"

	"lapwing/exporters/otlp/sampling"
)

// The protocols of an endpoint.
const (
	ProtocolGRPC         = "grpc"
	ProtocolHTTPProtobuf = "http/protobuf"
	ProtocolHTTPJSON     = "http/json"
)

// The compression methods of uploads.
const (
	CompressionNone = "none"
	CompressionGzip = "gzip"
)

// Config sets where traces and metrics go, and which requests become traces. A
// value that is set here overrides the OTEL_EXPORTER_OTLP_* variable of the
// same meaning. If it is empty, the variable applies.
type Config struct {
	// Endpoint is the base URL of the receiver, for instance
	// http://127.0.0.1:4318. HTTP requests go to /v1/traces and /v1/metrics
	// below it. If it is empty, the endpoint of the environment applies.
	// Without either, the export is off.
	Endpoint string `koanf:"endpoint"`
	// Protocol is grpc, http/protobuf or http/json. If it is empty and no
	// variable is set, it is grpc on port 4317 and http/protobuf on other
	// ports.
	Protocol string `koanf:"protocol"`
	// Headers are sent with every upload. They often contain the key for the
	// receiver.
	Headers map[string]string `koanf:"headers"`
	// Compression is gzip or none.
	Compression string `koanf:"compression"`
	// TLS configures https endpoints.
	TLS TLSConfig `koanf:"tls"`
	// Timeout limits one attempt to upload one batch. Zero means the value of
	// the environment, or 10 s without a variable.
	Timeout time.Duration `koanf:"timeout"`

	// QueueSize is the highest number of requests that wait for upload.
	// Requests beyond it are dropped and counted. Requests come in bursts, ten
	// times a second.
	QueueSize int `koanf:"queue_size"`
	// BatchSize is the highest number of requests in one upload, of up to five
	// spans each.
	BatchSize int `koanf:"batch_size"`
	// BatchDelay is the longest time that a request waits for its batch to
	// fill.
	BatchDelay time.Duration `koanf:"batch_delay"`
	// Retry configures the retries after a temporary failure.
	Retry RetryConfig `koanf:"retry"`

	// URLQuery adds url.query to the spans. Queries often contain secrets.
	URLQuery bool `koanf:"url_query"`
	// Sampling selects the requests that become traces.
	Sampling sampling.Config `koanf:"sampling"`
	// Metrics configures the export of metrics.
	Metrics MetricsConfig `koanf:"metrics"`
}

// TLSConfig configures the connection to an https endpoint. If any of CA, Cert
// and Key is set, the certificate variables of the environment are ignored.
type TLSConfig struct {
	CA                 string `koanf:"ca"`   // PEM file; empty means the certificate authorities of the system
	Cert               string `koanf:"cert"` // PEM file of the client certificate
	Key                string `koanf:"key"`  // PEM file of its key
	ServerName         string `koanf:"server_name"`
	InsecureSkipVerify bool   `koanf:"insecure_skip_verify"`
}

// RetryConfig configures exponential back-off. A pause that the receiver asks
// for replaces the computed one.
type RetryConfig struct {
	InitialInterval time.Duration `koanf:"initial_interval"`
	MaxInterval     time.Duration `koanf:"max_interval"`
	MaxElapsed      time.Duration `koanf:"max_elapsed"` // after this time the batch is dropped
}

// The histogram types that can be sent.
const (
	HistogramsExplicit    = "explicit"
	HistogramsExponential = "exponential"
)

// MetricsConfig configures the export of metrics.
type MetricsConfig struct {
	Enabled bool `koanf:"enabled"`
	// Interval is the time between two uploads. Zero means
	// OTEL_METRIC_EXPORT_INTERVAL, or one minute without it.
	Interval time.Duration `koanf:"interval"`
	// Histograms is explicit or exponential. Empty means the value of
	// OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION, or explicit
	// without it.
	Histograms string `koanf:"histograms"`
}

func (c MetricsConfig) check() error {
	if c.Interval < 0 {
		return fmt.Errorf("metrics.interval %v: use a positive duration, or 0 for the default", c.Interval)
	}
	switch c.Histograms {
	case "", HistogramsExplicit, HistogramsExponential:
		return nil
	}
	return fmt.Errorf("metrics.histograms %q: use %s or %s", c.Histograms, HistogramsExplicit, HistogramsExponential)
}

// DefaultConfig returns a Config that keeps every request and takes the
// endpoint, if any, from the environment.
func DefaultConfig() Config {
	return Config{
		QueueSize:  4096,
		BatchSize:  256,
		BatchDelay: time.Second,
		Retry: RetryConfig{
			InitialInterval: time.Second,
			MaxInterval:     15 * time.Second,
			MaxElapsed:      time.Minute,
		},
		Sampling: sampling.DefaultConfig(),
		Metrics:  MetricsConfig{Enabled: true},
	}
}

// Validate reports the first key whose value cannot work. It reads no files and
// opens no connections.
func (c Config) Validate() error {
	for _, check := range []func() error{c.checkTransport, c.checkHeaders, c.TLS.check, c.checkQueue, c.Retry.check, c.checkSampling, c.Metrics.check} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (c Config) checkTransport() error {
	if c.Endpoint != "" {
		u, err := url.Parse(c.Endpoint)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return fmt.Errorf("endpoint %q: use a URL such as http://127.0.0.1:4318", c.Endpoint)
		}
		if u.Scheme == "http" && c.TLS != (TLSConfig{}) {
			return fmt.Errorf("tls is set but endpoint %q is not encrypted: use https://, or remove tls", c.Endpoint)
		}
	}
	switch c.Protocol {
	case "", ProtocolGRPC, ProtocolHTTPProtobuf, ProtocolHTTPJSON:
	default:
		return fmt.Errorf("protocol %q: use %s, %s or %s", c.Protocol, ProtocolGRPC, ProtocolHTTPProtobuf, ProtocolHTTPJSON)
	}
	switch c.Compression {
	case "", CompressionNone, CompressionGzip:
	default:
		return fmt.Errorf("compression %q: use %s or %s", c.Compression, CompressionGzip, CompressionNone)
	}
	if c.Timeout < 0 {
		return fmt.Errorf("timeout %v: use a positive duration, or 0 for the default", c.Timeout)
	}
	return nil
}

func (c TLSConfig) check() error {
	if (c.Cert == "") != (c.Key == "") {
		return fmt.Errorf("tls.cert %q and tls.key %q: a client certificate needs both", c.Cert, c.Key)
	}
	return nil
}

func (c Config) checkQueue() error {
	if c.BatchSize < 1 {
		return fmt.Errorf("batch_size %d: use at least 1", c.BatchSize)
	}
	if c.QueueSize < c.BatchSize {
		return fmt.Errorf("queue_size %d: use at least batch_size, which is %d", c.QueueSize, c.BatchSize)
	}
	if c.BatchDelay <= 0 {
		return fmt.Errorf("batch_delay %v: use a positive duration", c.BatchDelay)
	}
	return nil
}

func (c Config) checkSampling() error {
	if err := c.Sampling.Validate(); err != nil {
		return fmt.Errorf("sampling.%w", err)
	}
	return nil
}

func (c RetryConfig) check() error {
	if c.InitialInterval <= 0 {
		return fmt.Errorf("retry.initial_interval %v: use a positive duration", c.InitialInterval)
	}
	if c.MaxInterval < c.InitialInterval {
		return fmt.Errorf("retry.max_interval %v: use at least initial_interval, which is %v", c.MaxInterval, c.InitialInterval)
	}
	if c.MaxElapsed <= 0 {
		return fmt.Errorf("retry.max_elapsed %v: use a positive duration", c.MaxElapsed)
	}
	return nil
}
