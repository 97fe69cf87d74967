package console

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/collectors/request"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// TestMain fixes the environment that the text depends on.
func TestMain(m *testing.M) {
	flag.Parse()
	time.Local = time.UTC
	os.Exit(m.Run())
}

// golden compares got with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, got, 0o644))
		return
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got), "%s differs (go test -update rewrites it)\n--- got\n%s--- want\n%s", name, got, want)
}

// eventually polls until ok, for at most ten seconds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		require.False(t, time.Now().After(deadline), "not within 10 s: %s", what)
	}
}

// epoch is the time at which the requests of the tests arrive, for a clock
// whose wall time equals its stamps.
var epoch = request.Stamp(time.Date(2026, 3, 1, 12, 30, 15, 250e6, time.UTC).UnixNano())

// served returns a complete request with the given phases.
func served(service, path string, status int, phases ...time.Duration) *request.Request {
	at := [request.NumPhases + 1]request.Stamp{epoch}
	for i, d := range phases {
		at[i+1] = at[i] + request.Stamp(d)
	}
	return &request.Request{
		Stamps: request.Stamps{Arrived: at[0], ReadFirst: at[1], ReadLast: at[2], WriteFirst: at[3], WriteLast: at[4]},
		Seq:    2, Service: service, Protocol: "http/1.1", Method: "GET", Path: []byte(path), Status: status,
		PID: 4711, TID: 4711, RequestBytes: 120, ResponseBytes: 230,
	}
}

// sampleRequests returns one request of each kind that is shown differently.
func sampleRequests() []*request.Request {
	quick := served("nginx", "/", 200, 12*time.Microsecond, 3*time.Microsecond, 41*time.Microsecond, 830*time.Nanosecond)

	queued := served("gunicorn", "/reports/2026/march/summary-of-everything.html", 200,
		101*time.Millisecond, 52*time.Microsecond, 50200*time.Microsecond, 40*time.Microsecond)
	queued.Seq = 1
	queued.Accepted = queued.Arrived + request.Stamp(100*time.Millisecond)

	failed := served("gunicorn", "/checkout", 500, time.Millisecond, time.Millisecond, 2*time.Second, time.Millisecond)
	failed.Error = "500"

	slowReader := served("nginx", "/big", 200, 9*time.Microsecond, 4*time.Microsecond, 80*time.Microsecond, 3*time.Second)
	slowReader.Blocked, slowReader.Acked = 2900*time.Millisecond, slowReader.WriteLast+request.Stamp(400*time.Millisecond)

	early := served("uploads.service", "/upload", 413, 20*time.Microsecond, 250*time.Millisecond, 0, 30*time.Microsecond)
	early.Method, early.ClientWait, early.Flags = "POST", 240*time.Millisecond, request.EarlyResponse|request.Pipelined

	reset := served("gunicorn", "/slow", 0, 2*time.Millisecond, 50*time.Microsecond)
	reset.WriteFirst, reset.WriteLast = 0, 0
	reset.Closed = epoch + request.Stamp(1234*time.Millisecond)
	reset.Error = "connection_reset"

	hostile := served("nginx", "/\x1b[31m\x1b]0;owned\x07\u202egnp\u009b2J/日本語/\xff\r\n", 404,
		time.Microsecond, time.Microsecond, time.Microsecond, time.Microsecond)
	return []*request.Request{quick, queued, failed, slowReader, early, reset, hostile}
}
