package harness

import (
	"os/exec"
	"strings"
	"testing"
	"time"
)

// StartDaemon starts `lapwing run` and waits until its probes are attached.
func StartDaemon(t testing.TB, args ...string) *Process {
	t.Helper()
	agent := Start(t, exec.Command(Lapwing(t), append([]string{"run"}, args...)...))
	Eventually(t, 20*time.Second, "the probes to be attached", func() bool {
		if agent.Exited() {
			t.Fatalf("the agent ended: %s", agent.Stderr())
		}
		return strings.Contains(agent.Stderr(), "probes attached")
	})
	return agent
}
