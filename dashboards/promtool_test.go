package dashboards

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPromtool lets Prometheus's own tool check the alert rules and run their
// tests, which say when each fires and when it does not.
func TestPromtool(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	require.NoError(t, err, "promtool comes with the package prometheus: scripts/deps installs it")
	for _, args := range [][]string{{"check", "rules", "rules.yaml"}, {"check", "config", "prometheus.yaml"}, {"test", "rules", "rules_test.yaml"}} {
		cmd := exec.Command(promtool, args...)
		cmd.Dir = "stack/prometheus"
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%.2000s", out)
	}
}
