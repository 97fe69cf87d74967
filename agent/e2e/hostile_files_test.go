package e2e

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

	"github.com/creack/pty"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/attack"
	"lapwing/agent/e2e/harness"
)

// scrape reads the agent's metrics.
func scrape(t *testing.T, address string) string {
	t.Helper()
	page, _, err := harness.Scrape(address)
	require.NoError(t, err)
	return page
}

const memoryLatitude = 10 << 20

// sparseModules are attacks with a file that costs its reader memory and time:
// the one that was found, and two that stay within the limits of each table.
var sparseModules = map[string]struct {
	tables int
	names  uint64
}{
	"4,095 tables over 63 MiB of names": {4095, 63 << 20},
	"two tables over 60 MiB":            {2, 60 << 20},
	"one table over 300 MiB":            {1, 300 << 20},
}

// TestHostileSymbols checks that the agent keeps running when a user's program,
// named like a server, maps a file that costs its reader all memory and time.
func TestHostileSymbols(t *testing.T) {
	metrics := harness.FreeAddress(t)
	agent := harness.StartDaemon(t, "--prometheus-listen", metrics)
	for name, module := range sparseModules {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(harness.OpenDir(t), "mod_wsgi_x.so")
			require.NoError(t, attack.SparseModule(file, module.tables, module.names))
			memory, cpu, refused := harness.Resident(t, agent.PID()), harness.CPUTime(t, agent.PID()), refusals(t, metrics)["over_budget"]
			attacker := startHostile(t, "httpd", "map", hostileUser, file)
			defer attacker.end()
			most := uint64(0)
			harness.Within(6*time.Second, func() bool { // two searches
				most = max(most, harness.Resident(t, agent.PID()))
				return false
			})
			assert.LessOrEqual(t, most, memory+memoryLatitude, "the agent's memory grew from %d to %d KiB", memory>>10, most>>10)
			used := harness.CPUTime(t, agent.PID()) - cpu
			assert.LessOrEqual(t, used, harness.Slow(2*time.Second), "the time that the agent and its readers used")
			t.Logf("memory %d KiB, at most %d KiB; %s of processor time", memory>>10, most>>10, used)
			counts := refusals(t, metrics)
			assert.NotEqual(t, refused, counts["over_budget"], "nothing was refused: %v", counts)
		})
	}
	assert.NoError(t, agent.Stop(), "how the agent ended:\n%s", agent.Stderr())
}

// TestHostileSymbolsAtTheStart starts the agent next to such a program, with
// little memory. It must attach as fast as usual.
func TestHostileSymbolsAtTheStart(t *testing.T) {
	usual := attachTime(t)
	for name, module := range sparseModules {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(harness.OpenDir(t), "mod_wsgi_x.so")
			require.NoError(t, attack.SparseModule(file, module.tables, module.names))
			startHostile(t, "httpd", "map", hostileUser, file)
			assert.LessOrEqual(t, attachTime(t), 2*usual+harness.Slow(time.Second), "the time to attach, otherwise %s", usual)
		})
	}
}

// attachTime starts an agent in a group with 256 MiB of memory, lets it search,
// and returns how long attaching took.
func attachTime(t *testing.T) time.Duration {
	t.Helper()
	group, err := os.MkdirTemp(memoryGroups, "lapwing-e2e")
	require.NoError(t, err)
	defer func() { _ = os.Remove(group) }()
	writeFile(t, filepath.Join(group, "memory.limit_in_bytes"), strconv.Itoa(256<<20))
	begin := time.Now()
	const script = `echo $$ > "$0/cgroup.procs" && exec "$@"`
	agent := harness.Start(t, exec.Command("sh", "-c", script, group, harness.Lapwing(t), "run", "--prometheus-listen", harness.FreeAddress(t)))
	says := func(text string) func() bool {
		return func() bool { return agent.Exited() || strings.Contains(agent.Stderr(), text) }
	}
	harness.Eventually(t, 30*time.Second, "the probes to be attached", says("probes attached"))
	took := time.Since(begin)
	harness.Eventually(t, 20*time.Second, "a search", says("searched for markers"))
	assert.NoError(t, agent.Stop(), "how the agent ended:\n%s", agent.Stderr())
	return took
}

// memoryGroups is the folder for control groups with limited memory.
const memoryGroups = "/sys/fs/cgroup/memory"

// TestHostileTerminal replaces a mapped file by a link to a terminal of the
// attacker. The agent has no terminal, and must not get this one as its
// controlling terminal: it would end at a key typed there, and at a hang-up.
func TestHostileTerminal(t *testing.T) {
	for name, put := range map[string]func(path, terminal string) error{
		"a link to the terminal": func(path, terminal string) error { return os.Symlink(terminal, path) },
		"the terminal itself": func(path, terminal string) error {
			var st syscall.Stat_t
			if err := syscall.Stat(terminal, &st); err != nil {
				return err
			}
			return syscall.Mknod(path, syscall.S_IFCHR|0o666, int(st.Rdev))
		},
		"a pipe": func(path, _ string) error { return syscall.Mkfifo(path, 0o666) },
	} {
		t.Run(name, func(t *testing.T) {
			master, slave, err := pty.Open()
			require.NoError(t, err)
			defer func() { _ = slave.Close() }()
			file := filepath.Join(harness.OpenDir(t), "mod_wsgi_x.so")
			require.NoError(t, attack.Module(file, "wsgi_start_request"))
			startHostile(t, "httpd", "map", hostileUser, file)
			require.NoError(t, os.Remove(file))
			require.NoError(t, put(file, slave.Name()))
			metrics := harness.FreeAddress(t)
			agent := startLeader(t, "run", "--prometheus-listen", metrics)
			harness.Eventually(t, 20*time.Second, "metrics", func() bool { return harness.Listens(metrics) })
			awaitRefusal(t, metrics, "not_regular", 1)
			assert.Zero(t, harness.Terminal(t, agent.Process.Pid), "the agent has a controlling terminal")
			_, _ = master.Write([]byte{3}) // ^C
			_ = master.Close()             // and hang up
			time.Sleep(100 * time.Millisecond)
			require.NoError(t, agent.Process.Signal(syscall.SIGTERM), "the agent is gone")
			assert.NoError(t, agent.Wait())
		})
	}
}

// startLeader starts the agent like a daemon: in a session of its own, which
// has no terminal yet.
func startLeader(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	agent := exec.Command(harness.Lapwing(t), args...)
	agent.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGTERM}
	require.NoError(t, agent.Start())
	t.Cleanup(func() { _ = agent.Process.Kill() })
	return agent
}

// TestHostileFilesShareOut has a user that maps more files with markers than
// the agent searches. A server that starts later gets its marker, and the agent
// ends within its second.
func TestHostileFilesShareOut(t *testing.T) {
	const files = 300
	dir := harness.OpenDir(t)
	var paths []string
	for i := range files {
		paths = append(paths, filepath.Join(dir, fmt.Sprintf("mod_wsgi_%d.so", i)))
		require.NoError(t, attack.Module(paths[i], "wsgi_start_request"))
	}
	startHostile(t, "httpd", "map", hostileUser, paths...)
	metrics := harness.FreeAddress(t)
	agent := harness.StartDaemon(t, "--prometheus-listen", metrics)
	awaitRefusal(t, metrics, "program_share", 1)
	server := markedArch{arch: "reader"}.start(t, filepath.Join(t.TempDir(), "truth.jsonl"))
	code := newCode(t, server.PID(), "lapwing/cmd/refserver/app.Serve")
	warm(t, server.address)
	harness.Eventually(t, 10*time.Second, "a mark in the later server", func() bool { return code.marked(t) })
	t.Logf("refused: %v", refusals(t, metrics))
	stopInTime(t, agent)
}

// stopInTime ends the agent within the required time.
func stopInTime(t *testing.T, agent *harness.Process) {
	t.Helper()
	begin := time.Now()
	err := agent.Stop()
	took := time.Since(begin)
	assert.NoError(t, err, "how the agent ended:\n%s", agent.Stderr())
	t.Logf("it ended within %s", took)
	assert.LessOrEqual(t, took, harness.Slow(time.Second), "the time that the agent took to end:\n%s", agent.Stderr())
}
