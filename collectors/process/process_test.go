package process

import (
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestSampleOfThisProcess(t *testing.T) {
	const size = 64 << 20
	before, err := Sample(uint32(os.Getpid()))
	require.NoError(t, err)
	held := make([]byte, size)
	for i := range held {
		held[i] = 1
	}
	file, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer file.Close()
	for began := time.Now(); time.Since(began) < 100*time.Millisecond; {
	}
	after, err := Sample(uint32(os.Getpid()))
	require.NoError(t, err)
	runtime.KeepAlive(held)
	assert.GreaterOrEqual(t, after.RSS, before.RSS+size/2)
	assert.GreaterOrEqual(t, after.CPUTime-before.CPUTime, 20*time.Millisecond)
	assert.Greater(t, after.Threads, 1)
	entries, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	assert.InDelta(t, len(entries), after.Descriptors, 4)
}

func TestThread(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	pid, tid := uint32(os.Getpid()), uint32(unix.Gettid())
	known, err := ReadThread(pid, tid)
	require.NoError(t, err)
	assert.Equal(t, pid, known.PID)
	assert.InDelta(t, 0, (SinceBoot() - known.Start).Seconds(), 600)
	assert.Less(t, known.Start, SinceBoot())

	found, err := ReadThread(1, tid)
	require.NoError(t, err, "a thread of another process than was thought")
	assert.Equal(t, pid, found.PID)
	assert.Equal(t, known.Start, found.Start)
}

func TestGone(t *testing.T) {
	cmd := exec.Command("true")
	require.NoError(t, cmd.Run())
	pid := uint32(cmd.Process.Pid)
	_, err := Sample(pid)
	require.Error(t, err)
	_, err = ReadThread(pid, pid)
	require.Error(t, err)
}

// TestSampleLeavesNothingOpen checks that no files stay open until the next garbage
// collection, one for each process that was read.
func TestSampleLeavesNothingOpen(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	files := func() int {
		all, err := os.ReadDir("/proc/self/fd")
		require.NoError(t, err)
		return len(all)
	}
	before := files()
	for range 50 {
		_, err := Sample(uint32(os.Getppid()))
		require.NoError(t, err)
	}
	require.LessOrEqual(t, files(), before+5)
}
