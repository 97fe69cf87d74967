package privilege

import (
	"errors"
	"fmt"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestTooFewFiles(t *testing.T) {
	h := goodHost(t)
	h.openFiles = func() (uint64, int) { return 64, 5 }
	problems := h.check()
	require.Len(t, problems, 1)
	require.Equal(t, "the process may have 64 open files, has 5 already, and needs 192 more", problems[0].What)
	require.Contains(t, problems[0].Fix, "LimitNOFILE=65536")
	h.openFiles = func() (uint64, int) { return 1024, 5 }
	require.Empty(t, h.check())
}

func TestExplain(t *testing.T) {
	for errno, want := range map[unix.Errno]string{
		unix.EMFILE: "LimitNOFILE=65536",
		unix.ENFILE: "fs.file-max",
		unix.ENOMEM: "probes.ring_bytes",
	} {
		// As the eBPF library wraps them, including the refused program.
		for _, err := range []error{
			fmt.Errorf("load the probes: field x: map create: %w", errno),
			fmt.Errorf("attach to tp_btf/x: %w", errors.Join(errno, errors.New("more"))),
			&ebpf.VerifierError{Cause: errno},
		} {
			got := Explain(err)
			require.ErrorContains(t, got, want)
			require.ErrorIs(t, got, errno)
			require.Equal(t, got.Error(), ExplainLoad(err).Error())
		}
	}
	other := errors.New("listen 127.0.0.1:1: no")
	require.Equal(t, other, Explain(other))
	require.Equal(t, other, ExplainLoad(other))
	require.NoError(t, ExplainLoad(nil))

	refused := fmt.Errorf("load program: %w (MEMLOCK may be too low, consider rlimit.RemoveMemlock)", unix.EPERM)
	require.ErrorContains(t, ExplainLoad(refused), "seccomp")
	require.NotContains(t, ExplainLoad(refused).Error(), "MEMLOCK", "no kernel that is supported counts towards it")
	require.ErrorIs(t, ExplainLoad(refused), unix.EPERM)
	require.Equal(t, Problems{{What: "x"}}, ExplainLoad(Problems{{What: "x"}}))
}

func TestMemoryLimit(t *testing.T) {
	h := goodHost(t)
	require.Contains(t, h.memory(), "no cgroup memory limit")

	put(t, h, "proc/self/cgroup", "0::/system.slice/lapwing.service\n")
	put(t, h, "sys/fs/cgroup/system.slice/lapwing.service/memory.max", "max\n")
	require.Contains(t, h.memory(), "no cgroup memory limit")
	put(t, h, "sys/fs/cgroup/system.slice/memory.max", "1073741824\n")
	put(t, h, "sys/fs/cgroup/system.slice/lapwing.service/memory.max", "67108864\n")
	require.Contains(t, h.memory(), "the memory limit of cgroup /system.slice/lapwing.service is 64MiB: raise MemoryMax=")
	put(t, h, "sys/fs/cgroup/system.slice/memory.max", "33554432\n")
	require.Contains(t, h.memory(), "/system.slice is 32MiB", "the lowest on the way counts")

	put(t, h, "proc/self/cgroup", "9:cpu:/\n4:memory:/docker/1234\n0::/\n")
	put(t, h, "sys/fs/cgroup/memory/docker/1234/memory.limit_in_bytes", "25165824\n")
	put(t, h, "sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
	require.Contains(t, h.memory(), "/docker/1234 is 24MiB")
}
