package harness

import (
	"testing"
	"time"

	"github.com/prometheus/procfs"
	"github.com/stretchr/testify/require"
)

// clockTick is the kernel's unit of processor time in /proc.
const clockTick = 10 * time.Millisecond

// Resident is the memory of a process, in bytes.
func Resident(t testing.TB, pid int) uint64 {
	t.Helper()
	p, err := procfs.NewProc(pid)
	require.NoError(t, err)
	s, err := p.NewStatus()
	require.NoError(t, err)
	return s.VmRSS
}

// CPUTime is what a process and its children that ended have used of the processors.
func CPUTime(t testing.TB, pid int) time.Duration {
	t.Helper()
	p, err := procfs.NewProc(pid)
	require.NoError(t, err)
	s, err := p.Stat()
	require.NoError(t, err)
	return time.Duration(s.UTime+s.STime+uint(s.CUTime+s.CSTime)) * clockTick
}

// Terminal is the number of the terminal that controls a process, 0 if there is none.
func Terminal(t testing.TB, pid int) int {
	t.Helper()
	p, err := procfs.NewProc(pid)
	require.NoError(t, err)
	s, err := p.Stat()
	require.NoError(t, err)
	return s.TTY
}
