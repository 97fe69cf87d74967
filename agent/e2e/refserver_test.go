package e2e

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
	"lapwing/probes/socket/survey"
)

// truthLine is one line of the reference server's own record. Stamps are
// nanoseconds of the monotonic clock.
type truthLine struct {
	PID           int    `json:"pid"`
	TID           int    `json:"tid"`
	Peer          string `json:"peer"`
	Seq           int    `json:"seq"`
	Route         string `json:"route"`
	Status        int    `json:"status"`
	RequestBytes  uint64 `json:"request_bytes"`
	ResponseBytes uint64 `json:"response_bytes"`
	ReadFirst     int64  `json:"read_first_ns"`
	Read          int64  `json:"read_ns"`
	AppEnter      int64  `json:"app_enter_ns"`
	WriteEnter    int64  `json:"write_enter_ns"`
	WriteLeave    int64  `json:"write_leave_ns"`
}

// startRefServer starts the prefork reference server with a truth file.
func startRefServer(t *testing.T, truth string) *served {
	t.Helper()
	address := harness.FreeAddress(t)
	p := harness.Start(t, exec.Command(harness.RefServer(t),
		"--arch", "prefork", "--listen", address, "--workers", "4", "--truth", truth))
	harness.AwaitListener(t, p, address)
	return &served{Process: p, address: address}
}

// TestReferenceServer compares the phases of each request with the reference
// server's own stamps.
func TestReferenceServer(t *testing.T) {
	paths := []string{"/sleep?ms=20&id=%d", "/fast?id=%d", "/big?kb=64&id=%d", "/nowhere?id=%d"}
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		file := filepath.Join(t.TempDir(), "truth.jsonl")
		server := startRefServer(t, file)
		trace := harness.StartTrace(t, plan, "--port", harness.Port(t, server.address))
		askAll(t, server.address, paths)
		trace.AwaitRecords(server.address, requestsEach, handOut())
		records := trace.Finish()
		assert.NoError(t, server.Stop(), "how refserver ended:\n%s", server.Stderr())
		truth := readTruth(t, file)
		assert.Equal(t, requestsEach, len(records), "records")
		assert.Equal(t, requestsEach, len(truth), "lines of truth")
		compareTruth(t, records, truth)
	})
}

func readTruth(t *testing.T, file string) []truthLine {
	t.Helper()
	f, err := os.Open(file)
	require.NoError(t, err, "the reference server's truth")
	defer func() { _ = f.Close() }()
	var lines []truthLine
	for s := bufio.NewScanner(f); s.Scan(); {
		var l truthLine
		require.NoError(t, json.Unmarshal(s.Bytes(), &l), "line of truth %q", s.Text())
		if l.Seq > 0 && l.Read != 0 {
			lines = append(lines, l)
		}
	}
	return lines
}

// compareTruth pairs the requests of each connection in order.
func compareTruth(t *testing.T, records []harness.Record, truth []truthLine) {
	t.Helper()
	seen := make(map[string]int)
	var off []time.Duration
	for _, r := range records {
		seen[r.Peer]++
		i := slices.IndexFunc(truth, func(l truthLine) bool { return l.Peer == r.Peer && l.Seq == seen[r.Peer] })
		if !assert.GreaterOrEqual(t, i, 0, "no truth about request %d of %s: %s", seen[r.Peer], r.Peer, r.Line) {
			continue
		}
		l := truth[i]
		assert.Equal(t, l.Status, r.Status, r.Path+" status")
		assert.Equal(t, l.PID, r.PID, r.Path+" pid")
		assert.Equal(t, l.TID, r.TID, r.Path+" tid")
		assert.Equal(t, l.RequestBytes, value(r.RequestBytes), r.Path+" request_bytes")
		assert.Equal(t, l.ResponseBytes, value(r.ResponseBytes), r.Path+" response_bytes")
		off = append(off, errorOf(r.Parse, l.ReadFirst, l.Read), errorOf(r.App, l.Read, l.WriteEnter),
			errorOf(r.WriteBack, l.WriteEnter, l.WriteLeave))
	}
	judge(t, off)
}

// errorOf returns the error of the agent's phase, less the allowed 2 %.
func errorOf(got *int64, begin, end int64) time.Duration {
	truth := end - begin
	off := value(got) - truth
	return max(time.Duration(max(off, -off)-truth/50), 0)
}

// judge expects nearly all phases within 1 ms of the truth. If a process was
// preempted just before it takes a stamp, the stamp is late by a whole time
// slice. So a few phases may be off on a busy machine.
func judge(t *testing.T, off []time.Duration) {
	t.Helper()
	if !assert.NotEmpty(t, off, "no phase was compared") {
		return
	}
	slices.Sort(off)
	assert.LessOrEqual(t, off[len(off)*9/10], harness.Slow(time.Millisecond),
		"one phase in ten is off by that and more; the worst by %s", off[len(off)-1])
	assert.LessOrEqual(t, off[len(off)/2], harness.Slow(100*time.Microsecond), "how far the median phase is off")
}
