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

// files is the number of files that the agent opens after its start: one for
// each map, program and link (150 with everything on), and the connections of
// exporters and scrapes.
const files = 192

// descriptors detects a limit of open files that is too low. Otherwise the
// kernel's refusals would be misread: if the test for a feature cannot open a
// file, the kernel seems to lack the feature.
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

// Runs returns an error if not even the Go runtime could run. The runtime ends
// the process with a crash report if it cannot open the few files it needs.
func Runs() error {
	const enough = 8
	limit, open := ownFiles()
	if limit >= uint64(open+enough) {
		return nil
	}
	return fmt.Errorf("the process may have %d open files, and has %d already: %s", limit, open, raiseFiles)
}

// ownFiles returns the limit of open files of the process, and how many it has
// open. It counts them without opening one, and stops as soon as enough free
// ones are found.
func ownFiles() (limit uint64, open int) {
	var r unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &r) != nil {
		return math.MaxInt64, 0 // if the limit is unknown, assume none
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

// Explain adds the cause to an error if a resource ran out: which limit that
// is, and how to raise it. Other errors stay as they are.
func Explain(err error) error { return self().explain(err) }

// ExplainLoad is like Explain, for the loading of probes. Security modules can
// refuse it to a process that has the capabilities.
func ExplainLoad(err error) error {
	if !errors.Is(err, unix.EPERM) {
		return Explain(err)
	}
	return refusal{err}
}

// refusal is an EPERM despite the capabilities.
type refusal struct{ error }

// Error leaves out the guess of the eBPF library: no supported kernel counts
// maps and programs against RLIMIT_MEMLOCK.
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

// memory describes the memory limit that the process is under.
func (h host) memory() string {
	group, limit := h.memoryLimit()
	if group == "" {
		return "no cgroup memory limit was found, so the host itself is out of memory: free memory, or lower probes.ring_bytes"
	}
	return fmt.Sprintf("the memory limit of cgroup %s is %s: raise MemoryMax= in the systemd unit or the limit of the container, or lower probes.ring_bytes", group, units.BytesSize(float64(limit)))
}

// memoryFiles are the files with the limit of a control group, by the version
// of control groups.
var memoryFiles = []struct {
	hierarchy, below, file string
}{
	{"", "sys/fs/cgroup", "memory.max"},
	{"", "sys/fs/cgroup/unified", "memory.max"},
	{"memory", "sys/fs/cgroup/memory", "memory.limit_in_bytes"},
}

// memoryLimit returns the lowest limit from the process's control group up to
// the root, and the control group that sets it; group is empty if there is
// none. The limit is in bytes.
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

// readLimit reads a limit, in bytes. ok is false for "max", and for the number
// that means the same in version 1.
func readLimit(file string) (n uint64, ok bool) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	n, err = strconv.ParseUint(strings.TrimSpace(string(raw)), 10, 64)
	return n, err == nil && n < 1<<60
}
