package config

import (
	"testing"

	"github.com/stretchr/testify/require"

	"lapwing/collectors/service"
)

func TestDifferences(t *testing.T) {
	a, b := Default(), Default()
	require.Empty(t, Differences(a, b))
	b.Probes.HeadBytes = 128
	b.Services = []service.Rule{{Name: "shop", Port: 80}}
	b.Export.OTLP.Sampling.Ratio = 0.5
	b.Export.Prometheus.TLS.Cert = "x"
	b.Export.OTLP.Headers = map[string]string{"a": "b"}
	b.DropPrivileges = false
	require.Equal(t, []string{"probes.head_bytes", "services", "export.otlp.headers", "export.otlp.sampling.ratio",
		"export.prometheus.tls.cert", "drop_privileges"}, Differences(a, b))
}

// TestEveryKeyIsCompared changes each key that a variable can set.
func TestEveryKeyIsCompared(t *testing.T) {
	compared := 0
	root.walk(func(s *schema) {
		if s.Env != "" && !s.group() {
			compared++
		}
	})
	require.Greater(t, compared, 40)
	for _, key := range Keys() {
		if key.Env == "" || key.Example == "" || key.Example == key.Default {
			continue
		}
		cfg, err := Load(Source{Environ: []string{key.Env + "=" + trimList(key.Example)}})
		if err != nil {
			continue // it requires another key
		}
		require.Equal(t, []string{key.Path}, Differences(Default(), cfg), key.Path)
	}
}

// trimList turns [80, 8080] into the form of a variable.
func trimList(example string) string {
	if len(example) > 1 && example[0] == '[' {
		return example[1 : len(example)-1]
	}
	return example
}
