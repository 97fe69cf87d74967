package hostile

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/elastic/go-seccomp-bpf/arch"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"lapwing/agent/e2e/harness"
)

// The variables that make the test binary install the filter of a unit and
// execute its arguments.
const (
	unitCalls    = "LAPWING_TEST_UNIT_CALLS"
	unitFamilies = "LAPWING_TEST_UNIT_FAMILIES"
)

// underFilter installs the filter of a unit, as systemd does.
func underFilter(args []string) error {
	calls, families := strings.Fields(os.Getenv(unitCalls)), strings.Fields(os.Getenv(unitFamilies))
	filter, err := unitFilter(calls, families)
	if err != nil {
		return err
	}
	if err := installFilter(filter); err != nil {
		return err
	}
	return unix.Exec(args[0], args, slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "LAPWING_TEST_UNIT_") }))
}

var familyNumbers = map[string]uint32{"AF_UNIX": unix.AF_UNIX, "AF_INET": unix.AF_INET, "AF_INET6": unix.AF_INET6}

// unitFilter returns a filter that allows the calls, and sockets of the
// families.
func unitFilter(calls, families []string) ([]unix.SockFilter, error) {
	info, err := arch.GetInfo("")
	if err != nil {
		return nil, err
	}
	allow, refuse := bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW}, bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)}
	var socket []bpf.Instruction
	for _, family := range families {
		socket = append(socket, bpf.JumpIf{Cond: bpf.JumpEqual, Val: familyNumbers[family], SkipFalse: 1}, allow)
	}
	socket = append(socket, bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(unix.EAFNOSUPPORT)})
	program := []bpf.Instruction{
		bpf.LoadAbsolute{Off: 0, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(info.SyscallNames["socket"]), SkipFalse: uint8(len(socket) + 1)},
		bpf.LoadAbsolute{Off: 16, Size: 4},
	}
	program = append(program, socket...)
	for _, call := range calls {
		if nr, ok := info.SyscallNames[call]; ok { // the sets cover all architectures
			program = append(program, bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(nr), SkipFalse: 1}, allow)
		}
	}
	raw, err := bpf.Assemble(append(program, refuse))
	if err != nil {
		return nil, err
	}
	filter := make([]unix.SockFilter, len(raw))
	for i, in := range raw {
		filter[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	return filter, nil
}

// unitEnv returns what a unit and its drop-ins set about system calls.
func unitEnv(t *testing.T, files ...string) []string {
	t.Helper()
	var calls, families []string
	for _, file := range files {
		raw, err := os.ReadFile(filepath.Join(harness.ModuleRoot(t), "packaging", file))
		require.NoError(t, err)
		for line := range strings.Lines(string(raw)) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			switch key {
			case "SystemCallFilter":
				names, without := strings.CutPrefix(value, "~")
				for _, name := range strings.Fields(names) {
					set := expand(t, name)
					calls = slices.DeleteFunc(calls, func(call string) bool { return slices.Contains(set, call) })
					if !without {
						calls = append(calls, set...)
					}
				}
			case "RestrictAddressFamilies":
				families = append(families, strings.Fields(value)...)
				if value == "" {
					families = nil
				}
			}
		}
	}
	// Always allowed in addition to a list.
	calls = append(calls, expand(t, "@default")...)
	slices.Sort(calls)
	return []string{unitCalls + "=" + strings.Join(slices.Compact(calls), " "), unitFamilies + "=" + strings.Join(families, " ")}
}

// expand returns the calls of a set, as defined by the systemd of this machine.
func expand(t *testing.T, name string) []string {
	t.Helper()
	if !strings.HasPrefix(name, "@") {
		return []string{name}
	}
	out, err := exec.Command("systemd-analyze", "syscall-filter", "--no-pager", name).CombinedOutput()
	require.NoError(t, err, string(out))
	var calls []string
	for line := range strings.Lines(string(out)) {
		if call := strings.TrimSpace(line); call != "" && call != name && !strings.HasPrefix(call, "#") {
			calls = append(calls, expand(t, call)...)
		}
	}
	require.NotEmpty(t, calls, name)
	return calls
}
