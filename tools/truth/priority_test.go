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

// schedule is the scheduling of a thread.
type schedule struct {
	policy uint32
	nice   int32
}

// TestPriorityIsInherited checks that every thread of a measured server and of
// its workers has priority, that none is a real-time one, and that no other
// thread has priority afterwards.
func TestPriorityIsInherited(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may give priority")
	}
	o := options{refserver: harness.RefServer(t), workers: 2, priority: true}
	before := schedules(own(t))
	for _, arch := range []string{"threaded", "prefork"} {
		stage, err := raise(context.Background(), o, t.TempDir(), set{measured: arch})
		require.NoError(t, err)
		got := schedules(family(t, stage.entry.proc.PID()))
		assert.Equal(t, before, schedules(own(t)))
		require.NoError(t, stage.stop())
		assert.Equal(t, map[schedule]bool{{unix.SCHED_BATCH, -20}: true}, got, arch)
	}
}

// schedules returns the scheduling of the threads.
func schedules(tids []int) map[schedule]bool {
	found := make(map[schedule]bool)
	for _, tid := range tids {
		if attr, err := unix.SchedGetAttr(tid, 0); err == nil {
			found[schedule{attr.Policy, attr.Nice}] = true
		}
	}
	return found
}

// family lists the threads of a process and those of its children.
func family(t *testing.T, pid int) (tids []int) {
	t.Helper()
	for _, task := range tasks(t, pid) {
		tids = append(tids, number(t, task))
		for _, child := range children(task) {
			tids = append(tids, family(t, child)...)
		}
	}
	return tids
}

// own lists the threads of this process.
func own(t *testing.T) (tids []int) {
	t.Helper()
	for _, task := range tasks(t, os.Getpid()) {
		tids = append(tids, number(t, task))
	}
	return tids
}

func tasks(t *testing.T, pid int) []string {
	t.Helper()
	found, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*")
	require.NoError(t, err)
	return found
}

func number(t *testing.T, task string) int {
	t.Helper()
	tid, err := strconv.Atoi(filepath.Base(task))
	require.NoError(t, err)
	return tid
}
