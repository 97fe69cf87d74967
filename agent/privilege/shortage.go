package privilege

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path"
	"strconv"
	"strings"

	"github.com/docker/go-units"
	"golang.org/x/sys/unix"
)

// files is how many more files the agent opens than it has open at its start: a
// map, a program, a link each (150 with everything on), and the connections of
// exporters and scrapes.
const files = 192

// descriptors notices too low a limit before the kernel's refusals are taken for
// what they are not: a probe of a feature that cannot open a file looks like a
// kernel that lacks the feature.
func (h host) descriptors() *Problem {
	if h.openFiles == nil {
		return nil
	}
	limit, open := h.openFiles()
	if limit >= uint64(open+files) {
		return nil
	}
	return &Problem{
		What: fmt.Sprintf("the process may have %d open files, has %d already, and needs %d more", limit, open, files),
		Fix:  raiseFiles,
	}
}

const raiseFiles = "raise the limit: LimitNOFILE=65536 in a systemd unit, ulimit -n 65536 in a shell, --ulimit nofile=65536 in Docker"

// Runs says why not even the language's runtime would run: it ends the process
// with a crash report where it cannot open the few files it needs.
func Runs() error {
	const enough = 8
	limit, open := ownFiles()
	if limit >= uint64(open+enough) {
		return nil
	}
	return fmt.Errorf("the process may have %d open files, and has %d already: %s", limit, open, raiseFiles)
}

// ownFiles are the process's limit of open files and how many it has, counted
// without opening one, and no further than is needed.
func ownFiles() (limit uint64, open int) {
	var r unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &r) != nil {
		return math.MaxInt64, 0 // what cannot be found out is no limit
	}
	free := 0
	for fd := uint64(0); fd < r.Cur && free < files; fd++ {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
			free++
		} else {
			open++
		}
	}
	return r.Cur, open
}

// Explain adds to an error what it means if something ran out: which limit that
// is, and how to raise it. Other errors stay as they are.
func Explain(err error) error { return self().explain(err) }

// ExplainLoad is Explain for the loading of probes, which security modules can
// refuse to those who have the capabilities.
func ExplainLoad(err error) error {
	if !errors.Is(err, unix.EPERM) {
		return Explain(err)
	}
	return refusal{err}
}

// refusal is an EPERM in spite of the capabilities.
type refusal struct{ error }

// Error leaves out what the library for eBPF guesses: no kernel that is supported
// counts maps and programs towards RLIMIT_MEMLOCK.
func (r refusal) Error() string {
	const guess = " (MEMLOCK may be too low, consider rlimit.RemoveMemlock)"
	return "the process has the capabilities, but may not load probes: check for a seccomp filter (in Docker: --security-opt seccomp=unconfined), for SELinux or AppArmor denials, and for kernel lockdown: " +
		strings.ReplaceAll(r.error.Error(), guess, "")
}

func (r refusal) Unwrap() error { return r.error }

func (h host) explain(err error) error {
	switch {
	case errors.Is(err, unix.EMFILE):
		return fmt.Errorf("the process has reached its limit of open files: %s: %w", raiseFiles, err)
	case errors.Is(err, unix.ENFILE):
		return fmt.Errorf("the host has reached its limit of open files: raise sysctl fs.file-max: %w", err)
	case errors.Is(err, unix.ENOMEM):
		return fmt.Errorf("out of memory: %s: %w", h.memory(), err)
	}
	return err
}

// memory says which limit the process is under.
func (h host) memory() string {
	group, limit := h.memoryLimit()
	if group == "" {
		return "no cgroup memory limit was found, so the host itself is out of memory: free memory, or lower probes.ring_bytes"
	}
	return fmt.Sprintf("the memory limit of cgroup %s is %s: raise MemoryMax= in the systemd unit or the limit of the container, or lower probes.ring_bytes", group, units.BytesSize(float64(limit)))
}

// memoryFiles are where the limit of a control group stands, by the version of
// control groups.
var memoryFiles = []struct {
	hierarchy, below, file string
}{
	{"", "sys/fs/cgroup", "memory.max"},
	{"", "sys/fs/cgroup/unified", "memory.max"},
	{"memory", "sys/fs/cgroup/memory", "memory.limit_in_bytes"},
}

// memoryLimit is the lowest limit on the way from the process's control group to
// the topmost one, and whose it is; empty if there is none.
func (h host) memoryLimit() (group string, limit uint64) {
	raw, err := os.ReadFile(h.path("proc/self/cgroup"))
	if err != nil {
		return "", 0
	}
	for line := range strings.Lines(string(raw)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 {
			continue
		}
		for _, f := range memoryFiles {
			if fields[1] != f.hierarchy {
				continue
			}
			for at := path.Clean("/" + fields[2]); ; at = path.Dir(at) {
				if n, ok := readLimit(h.path(path.Join(f.below, at, f.file))); ok && (group == "" || n < limit) {
					group, limit = at, n
				}
				if at == "/" {
					break
				}
			}
		}
	}
	return group, limit
}

// readLimit reads a limit; ok is false for "max", and for the number of version 1
// that stands for it.
func readLimit(file string) (n uint64, ok bool) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	n, err = strconv.ParseUint(strings.TrimSpace(string(raw)), 10, 64)
	return n, err == nil && n < 1<<60
}
