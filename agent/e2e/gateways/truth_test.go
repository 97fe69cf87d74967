package gateways

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
	"lapwing/probes/socket/survey"
)

// truth is one line of the reference server's own record. Stamps are
// nanoseconds of the monotonic clock.
type truth struct {
	PID           int    `json:"pid"`
	TID           int    `json:"tid"`
	Method        string `json:"method"`
	Status        int    `json:"status"`
	RequestBytes  uint64 `json:"request_bytes"`
	ResponseBytes uint64 `json:"response_bytes"`
	ReadFirst     int64  `json:"read_first_ns"`
	Read          int64  `json:"read_ns"`
	WriteEnter    int64  `json:"write_enter_ns"`
	WriteLeave    int64  `json:"write_leave_ns"`
}

// daemon is a reference daemon with its front end.
type daemon struct {
	protocol, address, front, file string
	process                        *harness.Process
}

// TestReferenceDaemons compares the phases and sizes of each request with the
// reference daemon's own record, including bodies, and files that the kernel
// sends.
func TestReferenceDaemons(t *testing.T) {
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		var daemons []*daemon
		for _, protocol := range []string{"fastcgi", "uwsgi", "scgi"} {
			for _, family := range []string{"tcp", "unix"} {
				daemons = append(daemons, startDaemon(t, protocol, family))
			}
		}
		trace := harness.StartTrace(t, plan, "--exe", "refserver")
		for _, d := range daemons {
			t.Run(d.protocol+" "+d.address[:4], func(t *testing.T) { d.test(t, trace) })
		}
		trace.Finish()
	})
}

func startDaemon(t *testing.T, protocol, family string) *daemon {
	t.Helper()
	dir := t.TempDir()
	d := &daemon{protocol: protocol, front: harness.FreeAddress(t), file: filepath.Join(dir, "truth.jsonl")}
	d.address = harness.FreeAddress(t)
	if family == "unix" {
		d.address = "unix:" + filepath.Join(dir, "daemon.sock")
	}
	bin := harness.RefServer(t)
	d.process = harness.Start(t, exec.Command(bin, "--arch", "daemon", "--protocol", protocol, "--listen", d.address,
		"--workers", fmt.Sprint(workers), "--truth", d.file))
	front := harness.Start(t, exec.Command(bin, "--arch", "front", "--listen", d.front, "--workers", "1",
		"--upstream", protocol+"://"+d.address))
	harness.AwaitListener(t, front, d.front)
	return d
}

// routes are the requests to send in turn; one with a body is a POST.
var routes = []struct {
	path string
	body int
}{
	{"/sleep?ms=10", 0}, {"/fast?x=1", 0}, {"/big?kb=200", 0}, {"/upstream/file?kb=100", 0},
	{"/stream?chunks=3&ms=5", 0}, {"/upload?x=1", 100_000}, {"/nowhere?x=1", 0}, {"/upload?x=2", 10},
}

func (d *daemon) test(t *testing.T, trace *harness.Trace) {
	var all sync.WaitGroup
	for c := range clients {
		all.Go(func() {
			client := newClient()
			defer client.CloseIdleConnections()
			for i := c; i < requests; i += clients {
				r := routes[i%len(routes)]
				_, err := send(t.Context(), client, d.front, r.path, strings.Repeat("x", r.body))
				if !assert.NoError(t, err, "request %d", i) {
					return
				}
			}
		})
	}
	all.Wait()
	ours := func(r harness.Record) bool { return r.Protocol == d.protocol && r.Local == d.address }
	harness.Within(waitForLast, func() bool { return len(trace.Records(ours)) >= requests || trace.Exited() })
	assert.NoError(t, d.process.Stop(), "the end of refserver: %.300s", d.process.Stderr())
	d.compare(t, trace.Records(ours), readTruth(t, d.file))
}

// compare pairs the requests of each worker in order.
func (d *daemon) compare(t *testing.T, records []harness.Record, own []truth) {
	if !assert.True(t, len(records) == requests && len(own) == requests,
		"%d records and %d lines of truth, want %d of both", len(records), len(own), requests) {
		return
	}
	slices.SortFunc(own, func(a, b truth) int { return cmp.Or(a.PID-b.PID, cmp.Compare(a.ReadFirst, b.ReadFirst)) })
	var parse, app, writeBack []time.Duration
	wrong := 0
	for i, r := range inOrder(records) {
		l := own[i]
		if !assert.True(t, r.RequestBytes != nil && r.ResponseBytes != nil, "without a count of bytes: %s", r.Line) {
			return
		}
		got := truth{PID: r.PID, TID: r.TID, Method: r.Method, Status: r.Status,
			RequestBytes: *r.RequestBytes, ResponseBytes: *r.ResponseBytes}
		want := truth{PID: l.PID, TID: l.TID, Method: l.Method, Status: l.Status,
			RequestBytes: l.RequestBytes, ResponseBytes: l.ResponseBytes}
		if got != want {
			if wrong++; wrong <= 3 {
				assert.Equal(t, want, got, "%s", r.Line)
			}
		}
		parse = append(parse, time.Duration(value(r.Parse)-(l.Read-l.ReadFirst)))
		app = append(app, time.Duration(value(r.App)-(l.WriteEnter-l.Read)))
		writeBack = append(writeBack, time.Duration(value(r.WriteBack)-(l.WriteLeave-l.WriteEnter)))
	}
	const most = 100 * time.Microsecond
	spread(t, "parse", parse, -most, most)
	spread(t, "app", app, -most, most)
	spread(t, "write_back", writeBack, -most, most)
}

// inOrder sorts records by worker and by the time at which the worker took
// them. A record without an arrival stays after the previous one of its worker.
func inOrder(records []harness.Record) []harness.Record {
	type placed struct {
		harness.Record
		at time.Time
	}
	var all []placed
	last := map[int]time.Time{}
	for _, r := range records {
		if start, err := r.Arrived(); err == nil {
			last[r.PID] = start.Add(time.Duration(value(r.Queue)))
		}
		all = append(all, placed{r, last[r.PID]})
	}
	slices.SortStableFunc(all, func(a, b placed) int { return cmp.Or(a.PID-b.PID, a.at.Compare(b.at)) })
	sorted := records[:0:0]
	for _, r := range all {
		sorted = append(sorted, r.Record)
	}
	return sorted
}

func readTruth(t *testing.T, file string) (all []truth) {
	t.Helper()
	f, err := os.Open(file)
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var l truth
		require.NoError(t, json.Unmarshal(lines.Bytes(), &l), "line of truth %q", lines.Bytes())
		if l.Read != 0 {
			all = append(all, l)
		}
	}
	return all
}
