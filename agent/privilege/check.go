package privilege

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/cap"
)

// Problem is a reason why no probe works, and how to fix it.
type Problem struct {
	What string // "CAP_BPF is missing"
	Fix  string // "run as root, or: sudo setcap …"
}

// Problems are the reasons why no probe works. As an error they are one line.
type Problems []Problem

func (p Problems) Error() string {
	texts := make([]string, len(p))
	for i, problem := range p {
		texts[i] = problem.What + ": " + problem.Fix
	}
	return "cannot attach probes: " + strings.Join(texts, "; ")
}

// Prepare mounts tracefs if it is not mounted yet and this process is allowed
// to. If something stops all probes, it returns an error of type Problems.
func Prepare() error {
	// Only some hooks need tracefs. The survey of the probe plans reports which
	// do not work without it.
	_ = MountTracefs()
	if problems := Check(); len(problems) > 0 {
		return problems
	}
	return nil
}

// Check reports what stops all probes on this host, for this process.
func Check() Problems { return self().check() }

// self returns this process on this host.
func self() host {
	release, err := kernelRelease()
	if err != nil {
		release = ""
	}
	exe, _ := os.Executable()
	return host{root: "/", release: release, have: cap.GetProc(), uid: os.Geteuid(), exe: exe, openFiles: ownFiles}
}

// host is what the checks look at.
type host struct {
	root    string // of the file system
	release string // of the kernel, as uname -r shows it
	have    *cap.Set
	uid     int
	exe     string

	openFiles func() (limit uint64, open int) // nil: the limit is high enough
}

func (h host) check() Problems {
	var all Problems
	for _, check := range []func() *Problem{h.descriptors, h.kernel, h.capabilities, h.namespace, h.lockdown, h.btf} {
		if p := check(); p != nil {
			all = append(all, *p)
		}
	}
	return all
}

// version is the part of a kernel release that orders features.
type version struct{ major, minor int }

// Floor is the oldest supported kernel.
const Floor = "5.15"

var floor = version{5, 15}

func (v version) before(w version) bool {
	return v.major < w.major || v.major == w.major && v.minor < w.minor
}

var releasePattern = regexp.MustCompile(`^(\d+)\.(\d+)`)

func parseVersion(release string) (version, bool) {
	m := releasePattern.FindStringSubmatch(release)
	if m == nil {
		return version{}, false
	}
	// The pattern only matches digits; a number that is too large is the
	// highest.
	major, _ := strconv.Atoi(m[1])
	minor, _ := strconv.Atoi(m[2])
	return version{major, minor}, true
}

func kernelRelease() (string, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", fmt.Errorf("read the kernel release: %w", err)
	}
	return string(bytes.TrimRight(u.Release[:], "\x00")), nil
}

// kernel refuses kernels older than Floor. A kernel whose release cannot be
// parsed is accepted.
func (h host) kernel() *Problem {
	if v, ok := parseVersion(h.release); !ok || !v.before(floor) {
		return nil
	}
	return &Problem{
		What: "Linux " + h.release + " is too old",
		Fix:  "use Linux " + Floor + " or later",
	}
}

func (h host) capabilities() *Problem {
	absent := missing(h.have, h.uid)
	if len(absent) == 0 {
		return nil
	}
	p := missingProblem(absent, h.uid, h.exe)
	return &p
}

// namespace detects user namespaces other than the first: capabilities in them
// are valid for the namespace only, and do not allow probes in the kernel.
func (h host) namespace() *Problem {
	raw, err := os.ReadFile(h.path("proc/self/uid_map"))
	if err != nil {
		return nil
	}
	if fields := strings.Fields(string(raw)); len(fields) == 3 && fields[0] == "0" && fields[1] == "0" && fields[2] == "4294967295" {
		return nil
	}
	return &Problem{
		What: "the process runs in a user namespace",
		Fix:  "run it on the host, or in a container that is not rootless and does not remap users",
	}
}

func (h host) lockdown() *Problem {
	raw, err := os.ReadFile(h.path("sys/kernel/security/lockdown"))
	if err != nil || !strings.Contains(string(raw), "[confidentiality]") {
		return nil
	}
	return &Problem{
		What: "kernel lockdown does not allow BPF programs to read kernel memory",
		Fix:  "boot with lockdown=integrity instead of lockdown=confidentiality",
	}
}

// BTF is the file with the kernel's description of its own types.
const BTF = "/sys/kernel/btf/vmlinux"

func (h host) btf() *Problem {
	_, err := os.Stat(h.path(BTF))
	if err == nil {
		return nil
	}
	return &Problem{
		What: "the kernel has no type information (" + BTF + ")",
		Fix:  "use a kernel built with CONFIG_DEBUG_INFO_BTF=y, as distributions have shipped since about 2021; in a container, mount the host's /sys",
	}
}

func (h host) path(name string) string { return filepath.Join(h.root, name) }
