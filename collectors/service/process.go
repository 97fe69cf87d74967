package service

import (
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/prometheus/procfs"

	"lapwing/collectors/patience"
)

// process is what /proc tells about one process.
type process struct {
	pid   int
	ppid  int
	ended bool   // on its way out, or all that is left is its exit status; kernel threads too
	uid   uint32 // real user
	mute  bool   // it does not tell its command line
	start uint64 // clock ticks since boot; with pid, unique until the next boot
	exe   string // empty for kernel threads and where reading it is not permitted
	args  []string
	comm  string
	cwd   string
	// cgroups are the process's control group paths, the unified hierarchy
	// and systemd's own first.
	cgroups []string
}

// maxArgs is how much of a command line is read: more than any that tells a name.
const maxArgs = 128 << 10

// readProcess reads the facts about pid but its command line: those that the
// kernel has by itself. Only a process that is gone is an error: facts that
// permissions hide stay empty.
func readProcess(fs procfs.FS, pid int) (process, error) {
	proc, err := fs.Proc(pid)
	if err != nil {
		return process{}, fmt.Errorf("read process %d: %w", pid, err)
	}
	stat, err := proc.Stat()
	if err != nil {
		return process{}, fmt.Errorf("read the state of process %d: %w", pid, err)
	}
	p := process{pid: pid, ppid: stat.PPID, start: stat.Starttime, comm: stat.Comm}
	p.uid = patience.NoOwner - 1 // of whom it is not known
	if status, err := proc.NewStatus(); err == nil {
		p.uid = uint32(status.UIDs[0])
	}
	p.cwd, _ = proc.Cwd()
	p.cgroups = cgroupPaths(proc)
	// A process on its way out lets go of its executable first, and of all
	// this later: with the executable still there, what was read is whole.
	exe, err := proc.Executable()
	p.ended = stat.State == "Z" || stat.State == "X" || exe == "" && err == nil
	// An upgrade replaces the file under a running server.
	p.exe = strings.TrimSuffix(exe, " (deleted)")
	return p, nil
}

// readArgs reads a command line. It is the one fact that lies in the process's own
// memory.
func readArgs(root string, pid int) ([]string, error) {
	f, err := os.Open(filepath.Join(root, strconv.Itoa(pid), "cmdline"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	raw, err := io.ReadAll(io.LimitReader(f, maxArgs))
	if err != nil || len(raw) == 0 {
		return nil, err
	}
	return strings.Split(strings.TrimRight(string(raw), "\x00"), "\x00"), nil
}

// cgroupPaths lists the paths of the hierarchies, those that say most first.
func cgroupPaths(proc procfs.Proc) []string {
	groups, _ := proc.Cgroups()
	var first, rest []string
	for _, g := range groups {
		unified := g.HierarchyID == 0
		systemd := len(g.Controllers) == 1 && g.Controllers[0] == "name=systemd"
		if unified || systemd {
			first = append(first, g.Path)
		} else {
			rest = append(rest, g.Path)
		}
	}
	return append(first, rest...)
}

// commandLine is the command line as one string, the way ps shows it.
func (p process) commandLine() string { return strings.TrimSpace(strings.Join(p.args, " ")) }

// title is the command line of a process that overwrote it with a title of
// its own ("gunicorn: worker [shop]"), else empty. A title is a single string:
// no argument follows it, and it does not name an interpreter, as that of an
// interpreter that reads its program from standard input does.
func (p process) title() string {
	if len(p.args) != 1 || interpreterOf(path.Base(p.args[0])) != nil {
		return ""
	}
	return p.args[0]
}
