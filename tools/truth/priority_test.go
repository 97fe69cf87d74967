package main

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"lapwing/agent/e2e/harness"
)

// TestRealtimeIsInherited: every thread of a measured server has real-time
// priority, and nobody else has it afterwards.
func TestRealtimeIsInherited(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may give real-time priority")
	}
	o := options{refserver: harness.RefServer(t), workers: 2, realtime: true}
	for range 5 {
		stage, err := raise(context.Background(), o, t.TempDir(), set{measured: "threaded"})
		require.NoError(t, err)
		assert.Equal(t, map[uint32]bool{unix.SCHED_RR: true}, policies(t, stage.entry.proc.PID()))
		assert.Equal(t, map[uint32]bool{unix.SCHED_NORMAL: true}, policies(t, os.Getpid()))
		require.NoError(t, stage.stop())
	}
}

// policies lists how the threads of a process are scheduled.
func policies(t *testing.T, pid int) map[uint32]bool {
	t.Helper()
	tasks, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*")
	require.NoError(t, err)
	found := make(map[uint32]bool)
	for _, task := range tasks {
		tid, err := strconv.Atoi(filepath.Base(task))
		require.NoError(t, err)
		if attr, err := unix.SchedGetAttr(tid, 0); err == nil {
			found[attr.Policy] = true
		}
	}
	return found
}
