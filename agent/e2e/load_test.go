package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
	"lapwing/probes/socket/survey"
)

// loadConnections is the number of connections that the load generator keeps
// busy. As many requests can be in flight at its start and end.
const loadConnections = 16

// load is a running wrk.
type load struct {
	*harness.Process
	out *strings.Builder
}

// startLoad starts wrk with one address at full speed.
func startLoad(t *testing.T, address string, d time.Duration) *load {
	t.Helper()
	l := &load{out: new(strings.Builder)}
	cmd := exec.Command(harness.Installed(t, "wrk"), "--threads", "1", "--connections", strconv.Itoa(loadConnections),
		"--duration", fmt.Sprintf("%.0fs", d.Seconds()), "http://"+address+"/load")
	cmd.Stdout = l.out
	l.Process = harness.Start(t, cmd)
	return l
}

var (
	completed = regexp.MustCompile(`(\d+) requests in`)
	troubled  = regexp.MustCompile(`(?m)^\s*(Socket errors.*|Non-2xx.*)$`)
)

// finish waits for the end of the load and returns the number of responses that
// wrk counted. A failed one fails the test.
func (l *load) finish(t *testing.T) uint64 {
	t.Helper()
	require.NoError(t, l.AwaitExit(30*time.Second), "wrk:\n%s", l.Stderr())
	assert.Empty(t, troubled.FindString(l.out.String()), "wrk reports trouble")
	m := completed.FindStringSubmatch(l.out.String())
	require.NotNil(t, m, "wrk gave no count:\n%s", l.out)
	n, err := strconv.ParseUint(m[1], 10, 64)
	require.NoError(t, err)
	return n
}

// startLoaded starts an nginx for the load. status is the address at which it
// reports its number of requests.
func startLoaded(t *testing.T) (server *served, status string) {
	t.Helper()
	address, status := harness.FreeAddress(t), harness.FreeAddress(t)
	server = startNginx(t, address, `access_log off;
	server { listen `+address+`; location / { return 200 "ok"; } }
	server { listen `+status+`; location / { stub_status; } }`)
	return server, status
}

// counted returns the number of requests by nginx's own count, including this
// one.
func counted(t *testing.T, status string) uint64 {
	t.Helper()
	resp, err := http.Get("http://" + status + "/")
	require.NoError(t, err, "stub_status")
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err, "stub_status")
	lines := strings.Split(string(b), "\n")
	require.True(t, len(lines) >= 3 && len(strings.Fields(lines[2])) == 3, "stub_status answered %q", b)
	n, err := strconv.ParseUint(strings.Fields(lines[2])[2], 10, 64)
	require.NoError(t, err)
	return n
}

// TestLoadIsCounted compares the agent's totals under full load with the
// counts of the client and of the server.
func TestLoadIsCounted(t *testing.T) {
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		server, status := startLoaded(t)
		top := harness.StartTop(t, plan, "--port", harness.Port(t, server.address))
		before := counted(t, status)
		responses := startLoad(t, server.address, 3*time.Second).finish(t)
		served := counted(t, status) - before - 1
		totals := top.Finish()
		t.Logf("wrk %d, nginx %d, agent %d", responses, served, totals.Requests())
		assert.InDelta(t, served, totals.Requests(), loadConnections, "requests against nginx's count")
		assert.InDelta(t, responses, totals.Requests(), loadConnections, "requests against wrk's count")
		if assert.Len(t, totals.Services, 1, "want nginx alone") {
			assert.Equal(t, "nginx", totals.Services[0].Service)
		}
		assert.Zero(t, harness.Sum(totals.Lost), "lost")
		checkSums(t, totals)
	})
}

// checkSums checks that the phases of each service add up to its duration.
func checkSums(t *testing.T, totals harness.Totals) {
	t.Helper()
	for _, s := range totals.Services {
		sum := int64(0)
		for _, name := range []string{"queue", "parse", "app", "write_back"} {
			assert.Contains(t, s.Phases, name, "the phases of %s", s.Service)
			sum += s.Phases[name].Sum
		}
		// Requests cut off at the end of the load only have some of the phases.
		assert.GreaterOrEqual(t, sum, s.Duration.Sum, "ns of the phases of %s, against its durations", s.Service)
		assert.LessOrEqual(t, sum, s.Duration.Sum+s.Duration.Sum/100,
			"ns of the phases of %s, against its durations of %d ns and 1 %%", s.Service, s.Duration.Sum)
	}
}

// TestLoadIsPrinted expects one line for each request in the server's own log.
// A request whose client was gone when wrk ended is printed with its error.
// Whether gunicorn logs it depends on how far it got.
func TestLoadIsPrinted(t *testing.T) {
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		server := startGunicorn(t)
		trace := harness.StartTrace(t, plan, "--port", harness.Port(t, server.address))
		startLoad(t, server.address, 2*time.Second).finish(t)
		assert.NoError(t, server.Stop())
		logged := len(server.log(t))
		trace.AwaitRecords(server.address, logged, handOut())
		answered, failed := 0, 0
		for _, r := range trace.Finish() {
			if r.Error == "" {
				answered++
			} else {
				failed++
			}
		}
		assert.LessOrEqual(t, failed, loadConnections, "lines of failed requests")
		assert.LessOrEqual(t, answered, logged, "lines of answered requests, against gunicorn's log")
		assert.LessOrEqual(t, logged, answered+failed, "gunicorn's log, against %d lines of answered requests and %d of failed ones",
			answered, failed)
	})
}

// TestKilledAgent kills the agent under load. The server must not notice, and
// nothing of the agent may remain in the kernel.
func TestKilledAgent(t *testing.T) {
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		server, status := startLoaded(t)
		before := counted(t, status)
		wrk := startLoad(t, server.address, 6*time.Second) // attaching takes time under load
		trace := harness.StartTop(t, plan, "--port", harness.Port(t, server.address))
		programs := programsOf(t, trace.PID())
		require.NotEmpty(t, programs, "the agent holds no program: nothing to look for")
		underLoad := counted(t, status)
		harness.Eventually(t, 3*time.Second, "load beside the agent", func() bool {
			return counted(t, status) > underLoad+1000
		})
		trace.Kill()
		responses := wrk.finish(t)
		assert.GreaterOrEqual(t, counted(t, status)-before, responses, "nginx's requests, against wrk's responses")
		harness.Eventually(t, 5*time.Second, "the end of the agent's programs", func() bool {
			return len(loaded(programs)) == 0
		})
	})
}

var programID = regexp.MustCompile(`(?m)^prog_id:\s*(\d+)$`)

// programsOf lists the BPF programs for which a process holds a descriptor,
// directly or through the link that attaches them.
func programsOf(t *testing.T, pid int) (ids []ebpf.ProgramID) {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/fdinfo/*", pid))
	require.NoError(t, err)
	for _, file := range files {
		// A descriptor can be closed between the two reads.
		b, _ := os.ReadFile(file)
		for _, m := range programID.FindAllStringSubmatch(string(b), -1) {
			id, err := strconv.ParseUint(m[1], 10, 32)
			require.NoError(t, err)
			ids = append(ids, ebpf.ProgramID(id))
		}
	}
	return ids
}

// loaded returns those of the programs that are still in the kernel.
func loaded(ids []ebpf.ProgramID) (left []ebpf.ProgramID) {
	for _, id := range ids {
		p, err := ebpf.NewProgramFromID(id)
		if err != nil {
			continue
		}
		left = append(left, id)
		_ = p.Close()
	}
	return left
}
