package otlp

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestHeadersAndCompression(t *testing.T) {
	tests := map[string]struct {
		change func(*Config)
		env    map[string]string
		key    string
		gzip   bool
	}{
		"configured":  {func(c *Config) { c.Headers, c.Compression = map[string]string{"api-key": "mine"}, "gzip" }, nil, "mine", true},
		"neither":     {func(*Config) {}, nil, "", false},
		"environment": {func(*Config) {}, map[string]string{"HEADERS": "api-key=env%20key", "COMPRESSION": "gzip"}, "env key", true},
		"configuration wins": {
			func(c *Config) { c.Headers, c.Compression = map[string]string{"api-key": "mine"}, "none" },
			map[string]string{"TRACES_HEADERS": "api-key=env", "TRACES_COMPRESSION": "gzip"}, "mine", false,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			forBoth(t, accept, func(t *testing.T, r *receiver, c Config) {
				for k, v := range test.env {
					t.Setenv(envPrefix+k, v)
				}
				test.change(&c)
				e, _ := newExporter(t, c)
				e.Trace(sample())
				eventually(t, "delivery", func() bool { return r.spans() == 5 })
				assert.Equal(t, test.key, r.header("api-key"))
				assert.Equal(t, test.gzip, r.header("Content-Encoding") == "gzip")
			})
		})
	}
}

func TestEverythingFromTheEnvironment(t *testing.T) {
	forBoth(t, accept, func(t *testing.T, r *receiver, c Config) {
		t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.Endpoint)
		t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", c.Protocol)
		t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "5000")
		c.Endpoint, c.Protocol = "", ""
		e, _ := newExporter(t, c)
		e.Trace(sample())
		eventually(t, "delivery", func() bool { return r.spans() == 5 })
		assert.Equal(t, 5*time.Second, e.uploader.timeout)
	})
}

// identity returns a certificate for 127.0.0.1 with its key, also as PEM files.
func identity(t *testing.T) (pair tls.Certificate, cert, key string) {
	t.Helper()
	server := httptest.NewTLSServer(nil) // comes with a certificate
	defer server.Close()
	pair = server.TLS.Certificates[0]
	der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	require.NoError(t, err)
	cert, key = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	writePEM(t, cert, "CERTIFICATE", pair.Certificate[0])
	writePEM(t, key, "PRIVATE KEY", der)
	return pair, cert, key
}

func writePEM(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}

func TestTLS(t *testing.T) {
	pair, cert, key := identity(t)
	tests := map[string]struct {
		tls    TLSConfig
		env    map[string]string
		client bool // the client presents a certificate
		fails  bool
	}{
		"authority":           {tls: TLSConfig{CA: cert}},
		"client certificate":  {tls: TLSConfig{CA: cert, Cert: cert, Key: key}, client: true},
		"server name":         {tls: TLSConfig{CA: cert, ServerName: "example.com"}},
		"wrong server name":   {tls: TLSConfig{CA: cert, ServerName: "other.test"}, fails: true},
		"unknown authority":   {fails: true},
		"not verified":        {tls: TLSConfig{InsecureSkipVerify: true}},
		"environment":         {env: map[string]string{"CERTIFICATE": cert, "CLIENT_CERTIFICATE": cert, "CLIENT_KEY": key}, client: true},
		"environment, traces": {env: map[string]string{"TRACES_CERTIFICATE": cert, "CERTIFICATE": "/missing"}},
	}
	for name, test := range tests {
		for _, protocol := range protocols {
			t.Run(name+"/"+protocol, func(t *testing.T) {
				clearEnv(t)
				for k, v := range test.env {
					t.Setenv(envPrefix+k, v)
				}
				r := startReceiver(t, protocol, "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequestClientCert}, accept)
				c := r.config(protocol)
				c.TLS = test.tls
				c.Retry.InitialInterval, c.Retry.MaxInterval = time.Hour, time.Hour
				e, l := newExporter(t, c)
				e.Trace(sample())
				if test.fails {
					eventually(t, "the failure", func() bool { return l.count("certificate") > 0 })
					assert.Zero(t, r.attempts(), "spans went to a receiver that was not verified")
					return
				}
				eventually(t, "delivery", func() bool { return r.spans() == 5 })
				assert.Equal(t, test.client, len(r.peers[0].PeerCertificates) == 1)
			})
		}
	}
}

func TestPlainEndpointIgnoresCertificateVariables(t *testing.T) {
	_, cert, _ := identity(t)
	forBoth(t, accept, func(t *testing.T, r *receiver, c Config) {
		t.Setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", cert)
		e, _ := newExporter(t, c)
		e.Trace(sample())
		eventually(t, "delivery", func() bool { return r.spans() == 5 })
	})
}

func TestRetryAfterHeader(t *testing.T) {
	for header, want := range map[string]time.Duration{"": 0, "3": 3 * time.Second, "-1": 0, "soon": 0, "Mon, 02 Jan 2006 15:04:05 GMT": 0} {
		assert.Equal(t, want, retryAfter(header), "Retry-After: %q", header)
	}
	later := time.Now().Add(time.Hour).UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")
	got := retryAfter(later)
	assert.GreaterOrEqual(t, got, 59*time.Minute, "Retry-After: %q", later)
	assert.LessOrEqual(t, got, time.Hour, "Retry-After: %q", later)
}

func TestJudgeFollowsTheSpecification(t *testing.T) {
	for code, want := range map[int]bool{400: false, 401: false, 404: false, 413: false, 429: true, 500: false, 501: false, 502: true, 503: true, 504: true} {
		got, _ := judge(os.ErrInvalid, &reply{httpStatus: code})
		assert.Equal(t, want, got, "HTTP %d is retryable", code)
	}
	for code, want := range map[codes.Code]bool{
		codes.Canceled: true, codes.Unknown: false, codes.InvalidArgument: false, codes.DeadlineExceeded: true,
		codes.NotFound: false, codes.PermissionDenied: false, codes.ResourceExhausted: false, codes.Aborted: true,
		codes.OutOfRange: true, codes.Unimplemented: false, codes.Internal: false, codes.Unavailable: true,
		codes.DataLoss: true, codes.Unauthenticated: false,
	} {
		got, _ := judge(status.Error(code, "x"), new(reply))
		assert.Equal(t, want, got, "gRPC %v is retryable", code)
	}
}
