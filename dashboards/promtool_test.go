package dashboards

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPromtool checks the alert rules with Prometheus's promtool and runs their
// tests, which define when each alert fires and when it does not.
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
