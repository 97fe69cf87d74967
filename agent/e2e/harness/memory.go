package harness

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// MemoryGroup is a control group for memory below the test's own, of whichever
// version this machine has.
type MemoryGroup struct {
	t      testing.TB
	dir    string
	second bool // version 2
}

// NewMemoryGroup makes a group without a limit.
func NewMemoryGroup(t testing.TB) *MemoryGroup {
	t.Helper()
	raw, err := os.ReadFile("/proc/self/cgroup")
	require.NoError(t, err)
	var tried []error
	for line := range strings.Lines(string(raw)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		second := fields[1] == ""
		if !second && fields[1] != "memory" {
			continue
		}
		parent, file := filepath.Join("/sys/fs/cgroup/memory", fields[2]), "memory.limit_in_bytes"
		if second {
			parent, file = filepath.Join("/sys/fs/cgroup", fields[2]), "memory.max"
		}
		// Version 2 has no groups below one with processes: beside it will do.
		for _, below := range []string{parent, filepath.Dir(parent)} {
			dir, err := os.MkdirTemp(below, "lapwing-test-")
			if err != nil {
				tried = append(tried, err)
				continue
			}
			if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
				tried = append(tried, err, os.Remove(dir))
				continue
			}
			t.Cleanup(func() { _ = os.Remove(dir) })
			return &MemoryGroup{t: t, dir: dir, second: second}
		}
	}
	t.Fatalf("no control group for memory can be made: %v", errors.Join(tried...))
	return nil
}

// Limit sets how much memory the group may have.
func (g *MemoryGroup) Limit(bytes uint64) {
	g.t.Helper()
	file := "memory.limit_in_bytes"
	if g.second {
		file = "memory.max"
	}
	require.NoError(g.t, os.WriteFile(filepath.Join(g.dir, file), fmt.Append(nil, bytes), 0o644))
}

// Command is a command that enters the group before it runs.
func (g *MemoryGroup) Command(name string, args ...string) *exec.Cmd {
	const enter = `echo $$ >"$0/cgroup.procs" && exec "$@"`
	return exec.Command("sh", append([]string{"-c", enter, g.dir, name}, args...)...)
}

// Used is what the kernel counts as the group's memory, its own for BPF maps
// included, but not the pages of files: those it takes back when others need them.
func (g *MemoryGroup) Used() uint64 {
	g.t.Helper()
	file, files := "memory.usage_in_bytes", "cache"
	if g.second {
		file, files = "memory.current", "file"
	}
	raw, err := os.ReadFile(filepath.Join(g.dir, file))
	require.NoError(g.t, err)
	used, err := strconv.ParseUint(strings.TrimSpace(string(raw)), 10, 64)
	require.NoError(g.t, err)
	return used - min(used, g.stat(files))
}

func (g *MemoryGroup) stat(name string) uint64 {
	g.t.Helper()
	f, err := os.Open(filepath.Join(g.dir, "memory.stat"))
	require.NoError(g.t, err)
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) == 2 && fields[0] == name {
			n, err := strconv.ParseUint(fields[1], 10, 64)
			require.NoError(g.t, err)
			return n
		}
	}
	g.t.Fatalf("the control group says nothing of %s", name)
	return 0
}
