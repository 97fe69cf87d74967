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

// MemoryGroup is a memory control group below that of the test, of the version
// that this machine uses.
type MemoryGroup struct {
	t      testing.TB
	dir    string
	second bool // version 2
}

// NewMemoryGroup creates a group without a limit.
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
		// Version 2 has no groups below one with processes. A sibling group
		// works too.
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
	require.Fail(t, "no control group for memory can be made", "%v", errors.Join(tried...))
	return nil
}

// Limit sets the memory limit of the group, in bytes.
func (g *MemoryGroup) Limit(bytes uint64) {
	g.t.Helper()
	file := "memory.limit_in_bytes"
	if g.second {
		file = "memory.max"
	}
	require.NoError(g.t, os.WriteFile(filepath.Join(g.dir, file), fmt.Append(nil, bytes), 0o644))
}

// Command returns a command that enters the group before it runs.
func (g *MemoryGroup) Command(name string, args ...string) *exec.Cmd {
	const enter = `echo $$ >"$0/cgroup.procs" && exec "$@"`
	return exec.Command("sh", append([]string{"-c", enter, g.dir, name}, args...)...)
}

// Used returns what the kernel counts as the group's memory, in bytes,
// including the kernel memory of BPF maps. It excludes the page cache, which
// the kernel reclaims when needed.
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
	require.Fail(g.t, "the control group says nothing of "+name)
	return 0
}
