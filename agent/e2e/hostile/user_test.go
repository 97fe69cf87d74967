package hostile

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
)

// ownUser is a user that no other process on this machine uses.
const ownUser = "64321"

// TestRootBecomesAnOwnUser checks that the agent and its helper run as that
// user, in all threads and without groups, with only the capabilities that
// reading /proc needs. Everything works: processes of others, markers in files
// that only their owner can read, a configuration that only root can read.
func TestRootBecomesAnOwnUser(t *testing.T) {
	server := startServers(t, "shopfront")[0]
	application := startMarked(t)
	metrics := harness.FreeAddress(t)
	config := filepath.Join(t.TempDir(), "lapwing.yaml")
	write := func(more string) {
		text := fmt.Sprintf("user: %q\nexport: {prometheus: {listen: %q}}\n%s", ownUser, metrics, more)
		require.NoError(t, os.WriteFile(config, []byte(text), 0o600))
	}
	write("")
	cmd := exec.Command(harness.Lapwing(t), "run", "--config", config)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), harness.KillEnv()}
	agent := harness.Start(t, cmd)
	application.awaitMark(t, agent)
	ask(t, "http://"+server+"/")
	var page string
	harness.Eventually(t, 20*time.Second, "the request and the process in a scrape", func() bool {
		page, _, _ = harness.Scrape(metrics)
		return seenWhole.MatchString(page)
	})
	assert.NotContains(t, page, "lapwing_agent_markers_refused_total{")

	helpers := children(t, agent.PID())
	require.Len(t, helpers, 1, "of the agent")
	const (
		ptrace = 1 << 19
		search = 1 << 2
	)
	for pid, caps := range map[int]uint64{agent.PID(): ptrace | search, helpers[0]: search} {
		for _, status := range statuses(t, pid) {
			assert.Regexp(t, `(?m)^Uid:\t64321\t64321\t64321\t64321$`, status)
			assert.Regexp(t, `(?m)^Gid:\t64321\t64321\t64321\t64321$`, status)
			assert.Regexp(t, `(?m)^Groups:\t *$`, status)
			assert.Regexp(t, fmt.Sprintf(`(?m)^CapEff:\t%016x$`, caps), status)
			assert.Regexp(t, fmt.Sprintf(`(?m)^CapPrm:\t%016x$`, caps), status)
			assert.Regexp(t, fmt.Sprintf(`(?m)^CapBnd:\t%016x$`, search), status)
			assert.Contains(t, status, "NoNewPrivs:\t1")
			if pid == agent.PID() {
				assert.Contains(t, status, "Seccomp:\t2")
			}
		}
	}

	write("services: [{name: renamed, exe: busybox}]\n")
	agent.Signal(syscall.SIGHUP)
	harness.Eventually(t, 10*time.Second, "the new configuration", func() bool {
		return strings.Contains(agent.Stderr(), "configuration reloaded")
	})
	require.NoError(t, agent.Stop(), agent.Stderr())
	assert.NotContains(t, agent.Stderr(), "level=WARN")
	harness.Eventually(t, 10*time.Second, "the end of the helper", func() bool {
		_, err := os.Stat(fmt.Sprintf("/proc/%d", helpers[0]))
		return err != nil
	})
}

// TestUserWhoDoesNotExist configures such a user. The agent must not guess
// another.
func TestUserWhoDoesNotExist(t *testing.T) {
	cmd := exec.Command(harness.Lapwing(t), "trace")
	cmd.Env = append(os.Environ(), "LAPWING_USER=nobody-of-that-name")
	line := fails(t, cmd, func() error { return nil })
	assert.Contains(t, line, `the user "nobody-of-that-name" does not exist`)
}

// children lists the processes that a process started.
func children(t *testing.T, parent int) []int {
	t.Helper()
	var pids []int
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent))
	require.NoError(t, err)
	for _, file := range files {
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, field := range strings.Fields(string(raw)) {
			var pid int
			_, err := fmt.Sscan(field, &pid)
			require.NoError(t, err)
			pids = append(pids, pid)
		}
	}
	return pids
}

// statuses returns the status of each thread of a process.
func statuses(t *testing.T, pid int) []string {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	var all []string
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		all = append(all, string(raw))
	}
	return all
}
