package socket

import (
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"lapwing/probes/socket/survey"
)

// counter returns a program for tracepoints that counts its runs.
func counter(t *testing.T) (prog *ebpf.Program, runs func() uint64) {
	t.Helper()
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	require.NoError(t, err)
	t.Cleanup(func() { _ = m.Close() })
	prog, err = ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.TracePoint, License: "GPL", Instructions: asm.Instructions{
		asm.StoreImm(asm.RFP, -4, 0, asm.Word),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -4),
		asm.LoadMapPtr(asm.R1, m.FD()),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "out"),
		asm.Mov.Imm(asm.R1, 1),
		asm.AddAtomic.Mem(asm.R0, asm.R1, asm.DWord, 0),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("out"),
		asm.Return(),
	}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = prog.Close() })
	return prog, func() (n uint64) {
		require.NoError(t, m.Lookup(uint32(0), &n))
		return n
	}
}

// attachAll attaches a program to all tracepoints of the plan syscall, once to each.
func attachAll(t *testing.T, prog *ebpf.Program) (links []link.Link) {
	t.Helper()
	seen := map[string]bool{}
	for _, h := range survey.SyscallHooks() {
		if !strings.HasPrefix(h.Name, "tracepoint/") || seen[h.Name] {
			continue
		}
		seen[h.Name] = true
		l, err := attachOne(h.Name, prog)
		require.NoError(t, err)
		links = append(links, l)
	}
	return links
}

// TestDetachWaitsOnce checks the time to detach. The kernel waits for all processors
// whenever a tracepoint is released. All of them together take less time than one by one.
// Of each the best of three counts.
func TestDetachWaitsOnce(t *testing.T) {
	prog, runs := counter(t)
	single, together := time.Hour, time.Hour
	for range 3 {
		links := attachAll(t, prog)
		began := time.Now()
		for _, l := range links {
			require.NoError(t, l.Close())
		}
		single = min(single, time.Since(began))

		links = attachAll(t, prog)
		held := newEvents(len(links))
		for _, l := range links {
			held.hold(l)
		}
		require.EqualValues(t, len(links), held.n, "the kernel holds all events")
		before := runs()
		connectNowhere()
		require.Greater(t, runs(), before, "the program runs")
		began = time.Now()
		require.NoError(t, detach(links))
		after := runs()
		require.NoError(t, held.Close())
		together = min(together, time.Since(began))
		connectNowhere()
		require.Equal(t, after, runs(), "the program runs no more")
	}
	t.Logf("tracepoints let go one by one in %s, together in %s", single, together)
	require.Less(t, together, single)
}

// connectNowhere makes a system call that no other program on a quiet machine makes.
func connectNowhere() { _ = unix.Connect(-1, &unix.SockaddrInet4{}) }
