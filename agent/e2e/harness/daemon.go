package harness

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// StartDaemon starts `lapwing run` and waits until its probes are attached.
func StartDaemon(t testing.TB, args ...string) *Process {
	t.Helper()
	agent := Start(t, exec.Command(Lapwing(t), append([]string{"run"}, args...)...))
	Eventually(t, 20*time.Second, "the probes to be attached", func() bool {
		require.False(t, agent.Exited(), "the agent ended: %s", agent.Stderr())
		return strings.Contains(agent.Stderr(), "probes attached")
	})
	return agent
}
