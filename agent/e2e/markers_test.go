package e2e

import (
	"bufio"
	"debug/elf"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
	"lapwing/probes/socket/survey"
)

// markedArch is a reference server whose call of the application is marked.
type markedArch struct {
	arch      string
	keepAlive bool // clients may keep their connections without starving others
	pipelines bool
}

var markedArchs = []markedArch{
	{arch: "prefork"}, {arch: "threaded"},
	{arch: "reader", keepAlive: true, pipelines: true}, {arch: "evented", keepAlive: true, pipelines: true},
}

// The load of a marked server: four clients for each worker.
const (
	markedWorkers  = 2
	markedClients  = 4 * markedWorkers
	markedRequests = 48
	markedPipeline = 3 // requests in one write
)

func (m markedArch) start(t *testing.T, truth string) *served {
	t.Helper()
	address := harness.FreeAddress(t)
	p := harness.Start(t, exec.Command(harness.RefServer(t), "--arch", m.arch, "--listen", address,
		"--workers", strconv.Itoa(m.workers()), "--truth", truth))
	harness.AwaitListener(t, p, address)
	return &served{Process: p, address: address}
}

// workers returns 1 for the event loop, because each further one behaves the
// same.
func (m markedArch) workers() int {
	if m.arch == "evented" {
		return 1
	}
	return markedWorkers
}

// TestMarkers compares the marker with the reference server's own stamp of the
// call, also if requests wait inside the server.
func TestMarkers(t *testing.T) {
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		for _, m := range markedArchs {
			t.Run(m.arch, func(t *testing.T) { m.test(t, plan) })
		}
	})
}

func (m markedArch) test(t *testing.T, plan survey.Plan) {
	file := filepath.Join(t.TempDir(), "truth.jsonl")
	server := m.start(t, file)
	trace := harness.StartTrace(t, plan, "--port", harness.Port(t, server.address))
	// Before its first mark, a thread is not known to call an application.
	warm(t, server.address)
	sent := 1 + m.load(t, server.address)
	if m.pipelines {
		pipeline(t, server.address)
		sent += markedPipeline
	}
	trace.AwaitRecords(server.address, sent, handOut())
	records := trace.Finish()
	assert.NoError(t, server.Stop(), "how refserver ended:\n%s", server.Stderr())
	assert.Equal(t, sent, len(records), "records")
	compareMarks(t, records, readTruth(t, file))
}

// warm sends a single request.
func warm(t *testing.T, address string) {
	t.Helper()
	client := newClient()
	defer client.CloseIdleConnections()
	require.NoError(t, fetch(t.Context(), client, "http://"+address+"/fast"))
}

// load sends requests that wait and requests that use the CPU, and returns
// their number.
func (m markedArch) load(t *testing.T, address string) int {
	t.Helper()
	paths := []string{"/sleep?ms=20&id=%d", "/cpu?ms=2&id=%d", "/fast?id=%d"}
	var clients sync.WaitGroup
	for c := range markedClients {
		clients.Go(func() {
			client := newClient()
			client.Transport.(*http.Transport).DisableKeepAlives = !m.keepAlive
			defer client.CloseIdleConnections()
			for i := c; i < markedRequests; i += markedClients {
				err := fetch(t.Context(), client, "http://"+address+fmt.Sprintf(paths[i%len(paths)], i))
				if !assert.NoError(t, err, "request %d", i) {
					return
				}
			}
		})
	}
	clients.Wait()
	return markedRequests
}

// pipeline sends several requests in one write.
func pipeline(t *testing.T, address string) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer func() { _ = c.Close() }()
	all := ""
	for i := range markedPipeline {
		all += fmt.Sprintf("GET /cpu?ms=%d HTTP/1.1\r\nHost: x\r\n\r\n", 2*(i+1))
	}
	_, err = c.Write([]byte(all))
	require.NoError(t, err)
	in := bufio.NewReader(c)
	for range markedPipeline {
		resp, err := http.ReadResponse(in, nil)
		require.NoError(t, err)
		_ = resp.Write(discard{})
		_ = resp.Body.Close()
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// compareMarks compares parse and app with the server's stamps around the call.
func compareMarks(t *testing.T, records []harness.Record, truth []truthLine) {
	t.Helper()
	seen := make(map[string]int)
	var off, app []time.Duration
	for _, r := range records {
		seen[r.Peer]++
		i := slices.IndexFunc(truth, func(l truthLine) bool { return l.Peer == r.Peer && l.Seq == seen[r.Peer] })
		if !assert.GreaterOrEqual(t, i, 0, "no truth about request %d of %s: %s", seen[r.Peer], r.Peer, r.Line) {
			continue
		}
		assert.Equal(t, "marker", r.Boundary, r.Path+" boundary")
		l := truth[i]
		off = append(off, errorOf(r.Parse, l.ReadFirst, l.AppEnter), errorOf(r.App, l.AppEnter, l.WriteEnter))
		app = append(app, (time.Duration(value(r.App)) - time.Duration(l.WriteEnter-l.AppEnter)).Abs())
	}
	judge(t, off)
	slices.Sort(app)
	t.Logf("app is off by %s in the median, by %s at most", app[len(app)/2], app[len(app)-1])
}

// TestMarkersOff checks that without markers the boundary is the last read, and
// is reported as such.
func TestMarkersOff(t *testing.T) {
	server := markedArch{arch: "reader"}.start(t, filepath.Join(t.TempDir(), "truth.jsonl"))
	trace := harness.StartTrace(t, harness.Plans(t)[0], "--port", harness.Port(t, server.address), "--markers=off")
	code := newCode(t, server.PID(), "lapwing/cmd/refserver/app.Serve")
	assert.False(t, code.marked(t), "a function is marked although markers are off")
	warm(t, server.address)
	trace.AwaitRecords(server.address, 1, handOut())
	for _, r := range trace.Finish() {
		assert.Equal(t, "syscall", r.Boundary, "boundary")
	}
}

// TestMarkersOfALaterServer checks that a server that starts after the agent
// has dropped its privileges is also marked.
func TestMarkersOfALaterServer(t *testing.T) {
	trace := harness.StartTrace(t, harness.Plans(t)[0])
	server := markedArch{arch: "reader"}.start(t, filepath.Join(t.TempDir(), "truth.jsonl"))
	code := newCode(t, server.PID(), "lapwing/cmd/refserver/app.Serve")
	warm(t, server.address)
	harness.Eventually(t, 10*time.Second, "a mark in the later server", func() bool { return code.marked(t) })
	// The code is patched shortly before the program is attached to it.
	harness.Eventually(t, 10*time.Second, "a request with a marker", func() bool {
		warm(t, server.address)
		time.Sleep(100 * time.Millisecond)
		return slices.ContainsFunc(trace.Records(harness.At(server.address)), func(r harness.Record) bool { return r.Boundary == "marker" })
	})
	trace.Finish()
	harness.Eventually(t, 5*time.Second, "the end of the mark", func() bool { return !code.marked(t) })
}

// TestMarkersEndWithAKilledAgent reads the code of the server from its memory:
// the markers of an agent that could not clean up must be gone too.
func TestMarkersEndWithAKilledAgent(t *testing.T) {
	server := markedArch{arch: "prefork"}.start(t, filepath.Join(t.TempDir(), "truth.jsonl"))
	code := newCode(t, server.PID(), "lapwing/cmd/refserver/app.Serve")
	require.False(t, code.marked(t), "the code differs from the file before there is an agent")
	trace := harness.StartTrace(t, harness.Plans(t)[0])
	assert.True(t, code.marked(t), "a server that runs when the agent starts is not marked once it is attached")
	trace.Kill()
	harness.Eventually(t, 5*time.Second, "the end of the mark", func() bool { return !code.marked(t) })
	warm(t, server.address)
}

// code is the start of a function in a process.
type code struct {
	memory  string
	address int64
	file    [64]byte // the same code in the file of the program
}

// newCode finds a function of a program that is not relocated.
func newCode(t *testing.T, pid int, symbol string) code {
	t.Helper()
	file, err := elf.Open(fmt.Sprintf("/proc/%d/exe", pid))
	require.NoError(t, err)
	defer func() { _ = file.Close() }()
	symbols, err := file.Symbols()
	require.NoError(t, err)
	i := slices.IndexFunc(symbols, func(s elf.Symbol) bool { return s.Name == symbol })
	require.GreaterOrEqual(t, i, 0, "no function %s in the program", symbol)
	require.Equal(t, elf.ET_EXEC, file.Type, "the program with %s is relocated", symbol)
	c := code{memory: fmt.Sprintf("/proc/%d/mem", pid), address: int64(symbols[i].Value)}
	text := file.Section(".text")
	_, err = text.ReadAt(c.file[:], c.address-int64(text.Addr))
	require.NoError(t, err)
	return c
}

// marked reports whether the code differs from that in the file.
func (c code) marked(t *testing.T) bool {
	t.Helper()
	memory, err := os.Open(c.memory)
	require.NoError(t, err)
	defer func() { _ = memory.Close() }()
	var now [64]byte
	_, err = memory.ReadAt(now[:], c.address)
	require.NoError(t, err)
	return now != c.file
}
