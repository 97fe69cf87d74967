package main

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/procfs"
	"github.com/stretchr/testify/require"
	"kernel.org/pub/linux/libs/security/libcap/cap"
)

// TestRelaxTimers expects a refusal without CAP_SYS_NICE. Only with it can a
// thread change the slack of others.
func TestRelaxTimers(t *testing.T) {
	before := slacks(t)
	t.Cleanup(func() {
		for tid, slack := range before {
			_ = os.WriteFile(slackOf(tid), []byte(slack), 0)
		}
	})
	may, err := cap.GetProc().GetFlag(cap.Effective, cap.SYS_NICE)
	require.NoError(t, err)
	err = relaxTimers()
	if !may {
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
