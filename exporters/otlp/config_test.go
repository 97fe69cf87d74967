package otlp

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/exporters/otlp/sampling"
)

func TestDefaultConfigIsValid(t *testing.T) {
	assert.NoError(t, DefaultConfig().Validate())
}

func TestValidateNamesTheKey(t *testing.T) {
	tests := map[string]func(*Config){
		"endpoint":                   func(c *Config) { c.Endpoint = "127.0.0.1:4317" },
		"endpoint \"ftp":             func(c *Config) { c.Endpoint = "ftp://h" },
		"endpoint \"http://\"":       func(c *Config) { c.Endpoint = "http://" },
		"protocol":                   func(c *Config) { c.Protocol = "thrift" },
		"compression":                func(c *Config) { c.Compression = "zstd" },
		"timeout":                    func(c *Config) { c.Timeout = -1 },
		"tls is set":                 func(c *Config) { c.Endpoint, c.TLS.CA = "http://h", "ca.pem" },
		"tls.key":                    func(c *Config) { c.TLS.Cert = "cert.pem" },
		"batch_size":                 func(c *Config) { c.BatchSize = 0 },
		"queue_size":                 func(c *Config) { c.QueueSize = c.BatchSize - 1 },
		"batch_delay":                func(c *Config) { c.BatchDelay = 0 },
		"retry.initial_interval":     func(c *Config) { c.Retry.InitialInterval = 0 },
		"retry.max_interval":         func(c *Config) { c.Retry.MaxInterval = 1 },
		"retry.max_elapsed":          func(c *Config) { c.Retry.MaxElapsed = 0 },
		"sampling.ratio":             func(c *Config) { c.Sampling.Ratio = math.NaN() },
		"sampling.services[0].ratio": func(c *Config) { c.Sampling.Services = []sampling.ServiceConfig{{Service: "a", Ratio: new(2.0)}} },
		"metrics.interval":           func(c *Config) { c.Metrics.Interval = -1 },
		"metrics.histograms":         func(c *Config) { c.Metrics.Histograms = "round" },
	}
	for key, change := range tests {
		c := DefaultConfig()
		change(&c)
		assert.ErrorContains(t, c.Validate(), key)
	}
}

// clearEnv removes the variables that the machine of the tests may have set.
func clearEnv(t *testing.T) {
	t.Helper()
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "OTEL_") {
			t.Setenv(name, "")
		}
	}
}

func TestTarget(t *testing.T) {
	tests := map[string]struct {
		config Config
		env    map[string]string
		want   string
		proto  string
	}{
		"explicit":           {Config{Endpoint: "http://h:4318"}, nil, "http://h:4318/v1/traces", ProtocolHTTPProtobuf},
		"explicit with path": {Config{Endpoint: "https://h/otlp/"}, nil, "https://h/otlp/v1/traces", ProtocolHTTPProtobuf},
		"gRPC by port":       {Config{Endpoint: "http://h:4317"}, nil, "http://h:4317", ProtocolGRPC},
		"protocol wins":      {Config{Endpoint: "http://h:4317", Protocol: "http/json"}, nil, "http://h:4317/v1/traces", ProtocolHTTPJSON},
		"explicit over env": {
			Config{Endpoint: "http://h:1"},
			map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://env:2", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
			"http://h:1", ProtocolGRPC,
		},
		"env base":   {Config{}, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://env:4318/x"}, "http://env:4318/x/v1/traces", ProtocolHTTPProtobuf},
		"env traces": {Config{}, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://no", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://env/in/"}, "https://env/in/", ProtocolHTTPProtobuf},
		"env traces, no path": {
			Config{}, map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://env"}, "https://env/", ProtocolHTTPProtobuf,
		},
		"env host:port": {Config{}, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "env:4317", "OTEL_EXPORTER_OTLP_INSECURE": "true"}, "http://env:4317", ProtocolGRPC},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			clearEnv(t)
			for k, v := range test.env {
				t.Setenv(k, v)
			}
			got, err := test.config.target(tracesSignal)
			assert.NoError(t, err)
			assert.Equal(t, test.want, got.String())
			assert.Equal(t, test.proto, got.protocol)
		})
	}
}

func TestTargetFromBadEnvironment(t *testing.T) {
	for name, value := range map[string]string{
		"OTEL_EXPORTER_OTLP_TIMEOUT":     "soon",
		"OTEL_EXPORTER_OTLP_PROTOCOL":    "thrift",
		"OTEL_EXPORTER_OTLP_ENDPOINT":    "http://%zz",
		"OTEL_EXPORTER_OTLP_CERTIFICATE": "/does/not/exist",
		"OTEL_EXPORTER_OTLP_CLIENT_KEY":  "/only/the/key",
	} {
		t.Run(name, func(t *testing.T) {
			clearEnv(t)
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "https://h")
			t.Setenv(name, value)
			_, err := Config{}.target(tracesSignal)
			assert.ErrorContains(t, err, name)
		})
	}
}

func TestTimeout(t *testing.T) {
	clearEnv(t)
	for _, test := range []struct {
		config time.Duration
		env    string
		want   time.Duration
	}{{0, "", 10 * time.Second}, {0, "1500", 1500 * time.Millisecond}, {time.Second, "1500", time.Second}} {
		t.Setenv("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", test.env)
		got, err := Config{Endpoint: "http://h", Timeout: test.config}.target(tracesSignal)
		assert.NoError(t, err)
		assert.Equal(t, test.want, got.timeout)
	}
}

func TestEnabled(t *testing.T) {
	clearEnv(t)
	c := DefaultConfig()
	assert.False(t, c.Enabled(), "traces without an endpoint")
	assert.False(t, c.MetricsEnabled(), "metrics without an endpoint")
	_, err := c.target(tracesSignal)
	assert.ErrorIs(t, err, ErrNoEndpoint)
	t.Setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://h")
	assert.False(t, c.Enabled(), "the metrics' endpoint enables nothing else")
	assert.True(t, c.MetricsEnabled(), "the metrics' endpoint enables metrics")
	c.Endpoint, c.Metrics.Enabled = "http://h", false
	assert.True(t, c.Enabled(), "an endpoint enables traces")
	assert.False(t, c.MetricsEnabled(), "an endpoint enables metrics only when they are on")
}

func TestAuthorityWithoutCertificate(t *testing.T) {
	clearEnv(t)
	path := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(path, []byte("not a certificate"), 0o600))
	_, err := Config{Endpoint: "https://h", TLS: TLSConfig{CA: path}}.target(tracesSignal)
	assert.ErrorContains(t, err, "tls.ca")
}
