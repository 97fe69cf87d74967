package harness

import (
	"testing"
	"time"

	"github.com/prometheus/procfs"
	"github.com/stretchr/testify/require"
)

// clockTick is the unit of CPU time in /proc.
const clockTick = 10 * time.Millisecond

// Resident returns the resident memory of a process, in bytes.
func Resident(t testing.TB, pid int) uint64 {
	t.Helper()
	p, err := procfs.NewProc(pid)
	require.NoError(t, err)
	s, err := p.NewStatus()
	require.NoError(t, err)
	return s.VmRSS
}

// CPUTime returns the CPU time that a process and its ended children have used.
func CPUTime(t testing.TB, pid int) time.Duration {
	t.Helper()
	p, err := procfs.NewProc(pid)
	require.NoError(t, err)
	s, err := p.Stat()
	require.NoError(t, err)
	return time.Duration(s.UTime+s.STime+uint(s.CUTime+s.CSTime)) * clockTick
}

// Terminal returns the number of the controlling terminal of a process, 0 if
// there is none.
func Terminal(t testing.TB, pid int) int {
	t.Helper()
	p, err := procfs.NewProc(pid)
	require.NoError(t, err)
	s, err := p.Stat()
	require.NoError(t, err)
	return s.TTY
}
