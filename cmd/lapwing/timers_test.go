package main

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/procfs"
	"github.com/stretchr/testify/require"
)

// TestRelaxTimers runs as root only where all tests do: without CAP_SYS_NICE a
// thread may change its own slack only.
func TestRelaxTimers(t *testing.T) {
	before := slacks(t)
	t.Cleanup(func() {
		for tid, slack := range before {
			_ = os.WriteFile(slackOf(tid), []byte(slack), 0)
		}
	})
	err := relaxTimers()
	if os.Getuid() != 0 {
		require.ErrorIs(t, err, os.ErrPermission)
		return
	}
	require.NoError(t, err)
	for tid, slack := range slacks(t) {
		require.Equal(t, strconv.Itoa(timerSlack), slack, "thread %d", tid)
	}
}

func slacks(t *testing.T) map[int]string {
	threads, err := procfs.AllThreads(os.Getpid())
	require.NoError(t, err)
	all := map[int]string{}
	for _, th := range threads {
		b, err := os.ReadFile(slackOf(th.PID))
		if err == nil {
			all[th.PID] = strings.TrimSpace(string(b))
		}
	}
	return all
}
