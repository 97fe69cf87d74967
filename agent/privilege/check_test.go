package privilege

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"kernel.org/pub/linux/libs/security/libcap/cap"
)

// goodHost returns a host without problems, for a user with exactly the
// required capabilities.
func goodHost(t *testing.T) host {
	t.Helper()
	h := host{
		root:    t.TempDir(),
		release: "6.1.0-18-amd64",
		have:    caps(t, cap.BPF, cap.PERFMON, cap.SYS_PTRACE, cap.DAC_READ_SEARCH),
		uid:     1000,
		exe:     "/usr/bin/lapwing",
	}
	put(t, h, "proc/self/uid_map", "         0          0 4294967295\n")
	put(t, h, "sys/kernel/security/lockdown", "none [integrity] confidentiality\n")
	put(t, h, "sys/kernel/btf/vmlinux", "")
	put(t, h, "sys/kernel/tracing/events/enable", "0\n")
	return h
}

func put(t *testing.T, h host, name, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(h.path(name)), 0o755))
	require.NoError(t, os.WriteFile(h.path(name), []byte(text), 0o644))
}

func caps(t *testing.T, values ...cap.Value) *cap.Set {
	t.Helper()
	s := cap.NewSet()
	require.NoError(t, s.SetFlag(cap.Effective, true, values...))
	return s
}

func TestGoodHosts(t *testing.T) {
	for name, change := range map[string]func(*host){
		"least capabilities":       func(*host) {},
		"one capability for two":   func(h *host) { h.have = caps(t, cap.SYS_ADMIN, cap.SYS_PTRACE, cap.DAC_OVERRIDE) },
		"root reads its own files": func(h *host) { h.uid, h.have = 0, caps(t, cap.BPF, cap.PERFMON, cap.SYS_PTRACE) },
		"oldest kernel":            func(h *host) { h.release = "5.15.0" },
		"next major":               func(h *host) { h.release = "7.0-rc1" },
		"odd release":              func(h *host) { h.release = "custom" },
		"no lockdown module":       func(h *host) { require.NoError(t, os.RemoveAll(h.path("sys/kernel/security"))) },
	} {
		t.Run(name, func(t *testing.T) {
			h := goodHost(t)
			change(&h)
			require.Empty(t, h.check())
		})
	}
}

func TestProblems(t *testing.T) {
	remove := func(name string) func(*host) {
		return func(h *host) { require.NoError(t, os.RemoveAll(h.path(name))) }
	}
	for _, tt := range []struct {
		change    func(*host)
		what, fix string
	}{
		{func(h *host) { h.have = cap.NewSet() },
			"CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH are missing",
			"run as root, or: sudo setcap cap_bpf,cap_perfmon,cap_sys_ptrace,cap_dac_read_search=ep /usr/bin/lapwing, or in a systemd unit: AmbientCapabilities=CAP_BPF CAP_PERFMON CAP_SYS_PTRACE CAP_DAC_READ_SEARCH"},
		{func(h *host) { h.have = caps(t, cap.BPF, cap.SYS_PTRACE, cap.DAC_READ_SEARCH) },
			"CAP_PERFMON is missing", "cap_bpf,cap_perfmon,"},
		{func(h *host) { h.uid, h.have = 0, caps(t, cap.SYS_PTRACE) },
			"CAP_BPF, CAP_PERFMON are missing", "--cap-add=BPF --cap-add=PERFMON"},
		{func(h *host) { h.release = "5.10.0-28-amd64" }, "Linux 5.10.0-28-amd64 is too old", "use Linux 5.15 or later"},
		{func(h *host) { h.release = "4.19.0" }, "Linux 4.19.0 is too old", "5.15"},
		{remove("sys/kernel/btf"), "no type information", "CONFIG_DEBUG_INFO_BTF=y"},
		{func(h *host) { put(t, *h, "proc/self/uid_map", "0 100000 65536\n") }, "runs in a user namespace", "rootless"},
		{func(h *host) { put(t, *h, "sys/kernel/security/lockdown", "none integrity [confidentiality]\n") }, "lockdown", "lockdown=integrity"},
	} {
		t.Run(tt.what, func(t *testing.T) {
			h := goodHost(t)
			tt.change(&h)
			problems := h.check()
			require.Len(t, problems, 1)
			require.Contains(t, problems[0].What, tt.what)
			require.Contains(t, problems[0].Fix, tt.fix)
			require.NotContains(t, problems.Error(), "\n")
		})
	}
}

func TestAllProblemsInOneLine(t *testing.T) {
	h := goodHost(t)
	h.release, h.have = "5.4.0", cap.NewSet()
	require.NoError(t, os.RemoveAll(h.path("sys")))
	problems := h.check()
	require.Len(t, problems, 3)
	require.Regexp(t, `^cannot attach probes: Linux 5\.4\.0 is too old: .*; CAP_BPF.*; the kernel has no type information.*$`, problems.Error())
}

func TestTracefsIsFound(t *testing.T) {
	h := goodHost(t)
	require.True(t, h.hasTracefs())
	require.NoError(t, os.RemoveAll(h.path("sys/kernel/tracing/events")))
	require.False(t, h.hasTracefs(), "an empty directory is a mount point without a mount")
	put(t, h, "sys/kernel/debug/tracing/events/enable", "0\n")
	require.True(t, h.hasTracefs(), "debugfs brings it along")
}

func TestStanding(t *testing.T) {
	require.Equal(t, []cap.Value{cap.SYS_PTRACE, cap.DAC_READ_SEARCH}, standing("6.12.1"))
	require.Equal(t, []cap.Value{cap.SYS_PTRACE, cap.DAC_READ_SEARCH, cap.BPF}, standing("5.15.0"),
		"older kernels ask for CAP_BPF at each use of a map")
	require.Subset(t, Standing(), standing("6.12.1"))
}

// TestUnitGivesWhatIsNeeded compares the packaged systemd unit with needs.
func TestUnitGivesWhatIsNeeded(t *testing.T) {
	unit, err := os.ReadFile(filepath.Join("..", "..", "packaging", "lapwing.service"))
	require.NoError(t, err)
	var all []cap.Value
	for _, n := range needs {
		all = append(all, n.value)
	}
	for _, key := range []string{"AmbientCapabilities", "CapabilityBoundingSet"} {
		require.Contains(t, string(unit), "\n"+key+"="+join(all, strings.ToUpper, " ")+"\n")
	}
}
