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

// process is what /proc says about one process.
type process struct {
	pid   int
	ppid  int
	ended bool   // ending, or ended with only its exit status left; also true for kernel threads
	uid   uint32 // real user
	mute  bool   // its command line could not be read
	start uint64 // clock ticks since boot; with pid, unique until the next boot
	exe   string // empty for kernel threads and if reading it is not permitted
	args  []string
	comm  string
	cwd   string
	// cgroups are the process's control group paths: first the unified hierarchy
	// and that of systemd.
	cgroups []string
}

// maxArgs limits how much of a command line is read, in bytes. All that is needed
// for a name is shorter.
const maxArgs = 128 << 10

// readProcess reads the facts about pid, except its command line: only those that
// the kernel itself has. It returns an error only if the process is gone. Facts
// that permissions hide stay empty.
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
	p.uid = patience.NoOwner - 1 // the owner is not known
	if status, err := proc.NewStatus(); err == nil {
		p.uid = uint32(status.UIDs[0])
	}
	p.cwd, _ = proc.Cwd()
	p.cgroups = cgroupPaths(proc)
	// A process that ends releases its executable first and all other facts later.
	// If the executable is still there, the facts are complete.
	exe, err := proc.Executable()
	p.ended = stat.State == "Z" || stat.State == "X" || exe == "" && err == nil
	// An upgrade replaces the file of a running server.
	p.exe = strings.TrimSuffix(exe, " (deleted)")
	return p, nil
}

// readArgs reads a command line. It is the only fact that is in the process's own
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

// cgroupPaths returns the paths of the hierarchies, the most useful first.
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

// commandLine returns the command line as one string, as ps shows it.
func (p process) commandLine() string { return strings.TrimSpace(strings.Join(p.args, " ")) }

// title returns the command line of a process that replaced it with a title
// ("gunicorn: worker [shop]"), else the empty string. A title is a single string
// without arguments. It is not the name of an interpreter, because an interpreter
// that reads its program from standard input has no arguments either.
func (p process) title() string {
	if len(p.args) != 1 || interpreterOf(path.Base(p.args[0])) != nil {
		return ""
	}
	return p.args[0]
}
