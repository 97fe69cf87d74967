package hung

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
	"lapwing/probes/socket/survey"
)

// threadsHeld returns the threads of a process that wait in the kernel and take no signal.
func threadsHeld(t *testing.T, pid int) (held []string) {
	t.Helper()
	all, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	require.NoError(t, err)
	for _, file := range all {
		stat, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		if _, state, _ := strings.Cut(string(stat), ") "); strings.HasPrefix(state, "D") {
			held = append(held, filepath.Base(filepath.Dir(file)))
		}
	}
	return held
}

// TestSignalsBesideHeldThreads looks which threads of the agent wait for a process that
// does not answer. The first thread must never be one of them: it takes the signals.
func TestSignalsBesideHeldThreads(t *testing.T) {
	startAttacker(t, "hunga")
	for range 10 {
		c := harness.Start(t, exec.Command(harness.Lapwing(t), "trace", "--service", "absent"))
		var held []string
		harness.Eventually(t, harness.Slow(20*time.Second), "a thread waits", func() bool {
			held = threadsHeld(t, c.PID())
			return len(held) > 0 && strings.Contains(c.Stderr(), "is called absent")
		})
		assert.NotContains(t, held, strconv.Itoa(c.PID()))
		c.Signal(syscall.SIGTERM)
		require.Equal(t, 0, harness.ExitStatus(c.AwaitExit(harness.Slow(10*time.Second))), c.Stderr())
	}
}

// watch runs a command with output until its probes are attached and, if said
// is set, until it wrote that. Then it ends the command. Each wait has a limit.
func watch(t *testing.T, said string, args ...string) (attached, ended time.Duration) {
	t.Helper()
	began := time.Now()
	c := harness.Start(t, exec.Command(harness.Lapwing(t), args...))
	harness.Eventually(t, 20*time.Second, "attached: "+strings.Join(args, " "), func() bool {
		return c.Exited() || strings.Contains(c.Stderr(), "lapwing: attached (plan ")
	})
	attached = time.Since(began)
	harness.Eventually(t, 20*time.Second, said, func() bool { return strings.Contains(c.Stderr(), said) })
	began = time.Now()
	c.Signal(syscall.SIGTERM)
	err := c.AwaitExit(10 * time.Second)
	assert.Equal(t, 0, harness.ExitStatus(err), c.Stderr())
	return attached, time.Since(began)
}

// TestCommandsWithFilters runs the commands that compare a filter with the
// running processes, while the command lines of some processes cannot be read.
func TestCommandsWithFilters(t *testing.T) {
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		args := func(args ...string) []string { return append(args, "--probe-plan", string(plan)) }
		const absent = "no server is called absent now"
		usual, usualEnd := watch(t, absent, args("trace", "--service", "absent")...)
		held := startAttacker(t, "hunga")
		pid := strconv.Itoa(held.PID())
		for _, tt := range []struct {
			said string
			args []string
		}{
			{absent, args("trace", "--service", "absent")},
			{absent, args("top", "--pid", pid, "--service", "absent", "--format", "json")},
			{absent, args("workers", "--service", "absent", "--exe", "hunga")},
		} {
			attached, ended := watch(t, tt.said, tt.args...)
			t.Logf("%v: attached after %s, usually %s; ended after %s, usually %s", tt.args, attached, usual, ended, usualEnd)
			assert.Less(t, attached, 2*usual+harness.Slow(time.Second), "attached")
			assert.Less(t, ended, 2*usualEnd+harness.Slow(time.Second), "the end after SIGTERM")
		}
	})
}
