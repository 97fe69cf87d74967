package uprobe

import (
	"debug/elf"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// counter is a program that counts its runs.
type counter struct {
	prog *ebpf.Program
	runs *ebpf.Map
	by   By
}

func newCounter(t *testing.T) *counter {
	t.Helper()
	runs, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	require.NoError(t, err)
	t.Cleanup(func() { _ = runs.Close() })
	spec := &ebpf.ProgramSpec{Type: ebpf.Kprobe, License: "GPL", Instructions: asm.Instructions{
		asm.StoreImm(asm.RFP, -4, 0, asm.Word),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -4),
		asm.LoadMapPtr(asm.R1, runs.FD()),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "out"),
		asm.Mov.Imm(asm.R1, 1),
		asm.StoreXAdd(asm.R0, asm.R1, asm.DWord),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("out"),
		asm.Return(),
	}}
	by := Prepare(spec)
	prog, err := ebpf.NewProgram(spec)
	require.NoError(t, err)
	t.Cleanup(func() { _ = prog.Close() })
	return &counter{prog, runs, by}
}

func (c *counter) count(t *testing.T) (n uint64) {
	t.Helper()
	require.NoError(t, c.runs.Lookup(uint32(0), &n))
	return n
}

// library returns a copy of the C library, which no other process runs, and the offset of
// a function in it.
func library(t *testing.T, symbol string) (path string, offset uint64) {
	t.Helper()
	found, err := filepath.Glob("/lib/*-linux-gnu/libc.so.6")
	require.NoError(t, err)
	require.NotEmpty(t, found)
	raw, err := os.ReadFile(found[0])
	require.NoError(t, err)
	path = filepath.Join(t.TempDir(), "libc.so.6")
	require.NoError(t, os.WriteFile(path, raw, 0o755))
	f, err := elf.Open(path)
	require.NoError(t, err)
	defer f.Close()
	symbols, err := f.DynamicSymbols()
	require.NoError(t, err)
	at := slices.IndexFunc(symbols, func(s elf.Symbol) bool { return s.Name == symbol })
	require.GreaterOrEqual(t, at, 0, symbol)
	value := symbols[at].Value
	for _, p := range f.Progs {
		if p.Type == elf.PT_LOAD && value >= p.Vaddr && value < p.Vaddr+p.Filesz {
			return path, value - p.Vaddr + p.Off
		}
	}
	require.FailNow(t, "the function is in no segment")
	return "", 0
}

// TestSeveralPrograms attaches two programs to the entry of a function and one to its
// return. Each runs once per call, and no longer once it is removed.
func TestSeveralPrograms(t *testing.T) {
	const runs = 5
	libc, offset := library(t, "setlocale") // which echo calls first
	run := func() {
		for range runs {
			cmd := exec.Command("/bin/echo")
			cmd.Env = []string{"LD_LIBRARY_PATH=" + filepath.Dir(libc)}
			require.NoError(t, cmd.Run())
		}
	}
	for name, have := range map[string]func() error{
		"multi link": features.HaveBPFLinkUprobeMulti,
		"perf event": func() error { return ebpf.ErrNotSupported },
	} {
		t.Run(name, func(t *testing.T) {
			defer func(have func() error) { HaveMultiLink = have }(HaveMultiLink)
			HaveMultiLink = have
			places := []Place{{Path: libc, Offset: offset}, {Path: libc, Offset: offset, Cookie: 7}, {Path: libc, Offset: offset, Return: true}}
			var counters []*counter
			var attached []io.Closer
			for _, at := range places {
				c := newCounter(t)
				a := Attacher{By: c.by}
				probe, err := a.Attach(c.prog, at)
				require.NoError(t, err)
				counters, attached = append(counters, c), append(attached, probe)
			}
			run()
			calls := counters[0].count(t)
			assert.GreaterOrEqual(t, calls, uint64(runs))
			assert.Equal(t, calls, counters[1].count(t), "the other program at the entry")
			assert.Equal(t, calls, counters[2].count(t), "at the return")
			for _, probe := range attached {
				require.NoError(t, probe.Close())
			}
			run()
			assert.Equal(t, calls, counters[0].count(t), "it was removed")
		})
	}
}

func TestReturnTakesPrivileges(t *testing.T) {
	a := Attacher{By: ByPerfEvent, Open: func(*os.File, uint64) (*os.File, error) { return nil, errors.New("not to be asked") }}
	_, err := a.Attach(nil, Place{Path: "/bin/true", Return: true})
	assert.ErrorIs(t, err, errReturn)
}
