package otlp

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path"
	"strconv"
	"strings"
	"time"
)

// ErrNoEndpoint means that neither the configuration nor the environment
// names a receiver.
var ErrNoEndpoint = errors.New("no OTLP endpoint: set endpoint or OTEL_EXPORTER_OTLP_ENDPOINT")

const (
	envPrefix      = "OTEL_EXPORTER_OTLP_"
	defaultTimeout = 10 * time.Second
)

// signal is a kind of telemetry that has variables and a URL path of its own.
type signal struct {
	env  string
	path string
}

var (
	tracesSignal  = signal{env: "TRACES_", path: "/v1/traces"}
	metricsSignal = signal{env: "METRICS_", path: "/v1/metrics"}
)

// lookup returns the value of the signal's own variable, or else of the general
// one, and the name of the variable that was set.
func (s signal) lookup(name string) (value, variable string) {
	for _, variable := range []string{envPrefix + s.env + name, envPrefix + name} {
		if v := strings.TrimSpace(os.Getenv(variable)); v != "" {
			return v, variable
		}
	}
	return "", ""
}

// target is the destination of one signal, resolved from the configuration and
// the environment. It has no headers and no compression: the client libraries
// read their variables themselves.
type target struct {
	protocol string
	host     string // host:port for HTTP, any gRPC target for gRPC
	path     string // of the URL; HTTP only
	secure   bool
	tls      *tls.Config // nil unless secure
	timeout  time.Duration
}

// String returns the target as an operator knows it.
func (t target) String() string {
	scheme := "http"
	if t.secure {
		scheme = "https"
	}
	if t.protocol == ProtocolGRPC {
		return scheme + "://" + t.host
	}
	return scheme + "://" + t.host + t.path
}

// Enabled reports whether traces have a destination.
func (c Config) Enabled() bool { return c.enabled(tracesSignal) }

// MetricsEnabled reports whether metrics are enabled and have a destination.
func (c Config) MetricsEnabled() bool { return c.Metrics.Enabled && c.enabled(metricsSignal) }

func (c Config) enabled(s signal) bool {
	value, _ := s.lookup("ENDPOINT")
	return c.Endpoint != "" || value != ""
}

func (c Config) target(s signal) (target, error) {
	t, err := c.endpoint(s)
	if err != nil {
		return target{}, err
	}
	if t.protocol, err = c.protocol(s, t.host); err != nil {
		return target{}, err
	}
	if t.timeout, err = c.timeout(s); err != nil {
		return target{}, err
	}
	if t.secure {
		t.tls, err = c.tlsConfig(s)
	}
	return t, err
}

func (c Config) endpoint(s signal) (target, error) {
	if c.Endpoint != "" {
		return parseEndpoint(c.Endpoint, "endpoint", s.path)
	}
	value, variable := s.lookup("ENDPOINT")
	if value == "" {
		return target{}, ErrNoEndpoint
	}
	below := s.path
	if variable != envPrefix+"ENDPOINT" {
		below = "" // a signal's own variable holds the whole URL
	}
	if !strings.Contains(value, "://") {
		insecure, _ := s.lookup("INSECURE")
		return target{host: value, path: s.path, secure: !strings.EqualFold(insecure, "true")}, nil
	}
	return parseEndpoint(value, variable, below)
}

// parseEndpoint reads a URL that key names, and appends the path below. If
// below is empty, the URL is used as it is.
func parseEndpoint(raw, key, below string) (target, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return target{}, fmt.Errorf("%s %q is not a URL: %w", key, raw, err)
	}
	switch u.Scheme {
	case "http", "https":
		if u.Host == "" {
			return target{}, fmt.Errorf("%s %q has no host: use a URL such as http://127.0.0.1:4318", key, raw)
		}
		at := u.Path
		if below != "" || at == "" {
			at = path.Join("/", at, below)
		}
		return target{host: u.Host, path: at, secure: u.Scheme == "https"}, nil
	}
	// Other targets that gRPC can resolve: dns:///host:port, unix:///path.
	return target{host: raw, path: below, secure: u.Scheme != "unix"}, nil
}

func (c Config) protocol(s signal, host string) (string, error) {
	if c.Protocol != "" {
		return c.Protocol, nil
	}
	value, variable := s.lookup("PROTOCOL")
	switch value {
	case ProtocolGRPC, ProtocolHTTPProtobuf, ProtocolHTTPJSON:
		return value, nil
	case "":
		if strings.HasSuffix(host, ":4317") {
			return ProtocolGRPC, nil
		}
		return ProtocolHTTPProtobuf, nil
	}
	return "", fmt.Errorf("%s %q: use %s, %s or %s", variable, value, ProtocolGRPC, ProtocolHTTPProtobuf, ProtocolHTTPJSON)
}

func (c Config) timeout(s signal) (time.Duration, error) {
	if c.Timeout > 0 {
		return c.Timeout, nil
	}
	value, variable := s.lookup("TIMEOUT")
	if value == "" {
		return defaultTimeout, nil
	}
	ms, err := strconv.Atoi(value)
	if err != nil || ms <= 0 {
		return 0, fmt.Errorf("%s %q: use a positive number of milliseconds", variable, value)
	}
	return time.Duration(ms) * time.Millisecond, nil
}
