package config

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"lapwing/exporters/otlp"
	"lapwing/exporters/prometheus"
)

func TestWarningsAboutSecrets(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, nil, 0o600))
		require.NoError(t, os.Chmod(path, mode))
		return path
	}
	open, closed, shared := file("open", 0o644), file("closed", 0o640), file("shared", 0o666)
	headers := map[string]string{"api-key": "x"}
	for _, tt := range []struct {
		name   string
		config Config
		file   string
		want   []string
	}{
		{"no secret", Config{}, open, nil},
		{"no secret, but all may write", Config{}, shared, []string{shared + " can be changed by every user of this host: run chmod o-w " + shared}},
		{"headers", Config{Export: Export{OTLP: otlp.Config{Headers: headers}}}, open,
			[]string{open + " contains headers for receivers (export.otlp.headers), which are often API keys, and can be read by every user of this host: run chmod o-r " + open}},
		{"headers in a closed file", Config{Export: Export{OTLP: otlp.Config{Headers: headers}}}, closed, nil},
		{"no file", Config{Export: Export{OTLP: otlp.Config{Headers: headers}}}, "", nil},
		{"keys and password", Config{Export: Export{
			OTLP:       otlp.Config{TLS: otlp.TLSConfig{Key: open}},
			Prometheus: prometheus.Config{TLS: prometheus.TLS{Key: closed}, BasicAuth: prometheus.BasicAuth{PasswordFile: open}},
		}}, closed, []string{
			open + " contains the private key of a certificate (export.otlp.tls.key) and can be read by every user of this host: run chmod o-r " + open,
			open + " contains a password (export.prometheus.basic_auth.password_file) and can be read by every user of this host: run chmod o-r " + open,
		}},
		{"missing", Config{Export: Export{OTLP: otlp.Config{TLS: otlp.TLSConfig{Key: dir + "/none"}}}}, closed, nil},
	} {
		require.Equal(t, tt.want, tt.config.Warnings(tt.file), tt.name)
	}
}
