package hung

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
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
	"lapwing/probes/socket/survey"
)

const (
	// connections is the number of connections of the load. As many requests
	// can be in flight when it ends.
	connections = 16
	loadTime    = 4 * time.Second
	// scrapeTime is the limit of a scrape, endTime that of SIGTERM.
	scrapeTime = 100 * time.Millisecond
	endTime    = time.Second
)

// agent is an agent that runs as a daemon.
type agent struct {
	*harness.Process
	metrics  string
	attached time.Duration // how long that took
}

func startAgent(t *testing.T, plan survey.Plan) *agent {
	t.Helper()
	a := &agent{metrics: harness.FreeAddress(t)}
	began := time.Now()
	a.Process = harness.Start(t, exec.Command(harness.Lapwing(t), "run", "--probe-plan", string(plan), "--prometheus-listen", a.metrics))
	harness.Eventually(t, harness.Slow(30*time.Second), "the agent is attached", func() bool {
		require.False(t, a.Exited(), a.Stderr())
		return strings.Contains(a.Stderr(), "probes attached")
	})
	a.attached = time.Since(began)
	return a
}

// scrape reads the metrics and returns how long that took.
func (a *agent) scrape(t *testing.T) (page string, took time.Duration) {
	t.Helper()
	page, took, err := harness.Scrape(a.metrics)
	require.NoError(t, err)
	return page, took
}

// slowest scrapes until the limit or until the condition holds, and returns the
// longest time of one scrape.
func (a *agent) slowest(t *testing.T, limit time.Duration, until func() bool) (most time.Duration) {
	t.Helper()
	for end := time.Now().Add(limit); time.Now().Before(end) && !until(); time.Sleep(20 * time.Millisecond) {
		_, took := a.scrape(t)
		most = max(most, took)
	}
	return most
}

// end sends SIGTERM and returns the agent's final account and how long the end
// took. usual is the time without an attacker on an equally busy host.
func (a *agent) end(t *testing.T, usual time.Duration) (account string, took time.Duration) {
	t.Helper()
	began := time.Now()
	a.Signal(syscall.SIGTERM)
	err := a.AwaitExit(10 * time.Second)
	took = time.Since(began)
	assert.Less(t, took, max(harness.Slow(endTime), usual+endTime), "the end after SIGTERM")
	assert.Equal(t, 0, harness.ExitStatus(err), a.Stderr())
	account = a.FinalAccount()
	require.NotEmpty(t, account, "the final account")
	return account, took
}

// nginx is a server with a count of its own.
type nginx struct {
	*harness.Process
	address, status string
}

func startNginx(t *testing.T) *nginx {
	t.Helper()
	n := &nginx{address: harness.FreeAddress(t), status: harness.FreeAddress(t)}
	dir := harness.OpenDir(t)
	conf := fmt.Sprintf(`daemon off; worker_processes 1; pid %[1]s/pid; error_log stderr;
events {}
http { access_log off; client_body_temp_path %[1]s; proxy_temp_path %[1]s; fastcgi_temp_path %[1]s; uwsgi_temp_path %[1]s; scgi_temp_path %[1]s;
server { listen %[2]s; location / { return 200 "ok"; } }
server { listen %[3]s; location / { stub_status; } } }`, dir, n.address, n.status)
	file := filepath.Join(dir, "nginx.conf")
	require.NoError(t, os.WriteFile(file, []byte(conf), 0o644))
	n.Process = harness.Start(t, exec.Command(harness.Installed(t, "nginx"), "-c", file))
	harness.AwaitListener(t, n.Process, n.address)
	return n
}

// counted returns the number of requests by nginx's own count, including this
// one.
func (n *nginx) counted(t *testing.T) uint64 {
	t.Helper()
	resp, err := http.Get("http://" + n.status + "/")
	require.NoError(t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	m := regexp.MustCompile(`(?m)^ \d+ \d+ (\d+)`).FindSubmatch(raw)
	require.NotNil(t, m, string(raw))
	count, err := strconv.ParseUint(string(m[1]), 10, 64)
	require.NoError(t, err)
	return count
}

func startLoad(t *testing.T, address string) *harness.Process {
	t.Helper()
	return harness.Start(t, exec.Command(harness.Installed(t, "wrk"), "--threads", "1", "--connections", strconv.Itoa(connections),
		"--duration", fmt.Sprintf("%.0fs", loadTime.Seconds()), "http://"+address+"/load"))
}

// requestsOf adds up the requests of a service in a page of metrics.
func requestsOf(t *testing.T, page, service string) uint64 {
	t.Helper()
	return uint64(harness.SumOf(t, page, "http_server_request_duration_seconds_count", `service_name="`+service+`"`))
}

// TestServerThatHoldsItsLock has processes of the user nobody, whose memory is
// locked forever. Each serves one request while nginx is under load.
func TestServerThatHoldsItsLock(t *testing.T) {
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		_, usual := startAgent(t, plan).end(t, 10*time.Second)
		server := startNginx(t)
		a := startAgent(t, plan)
		before := server.counted(t) - 1
		quiet := a.slowest(t, time.Second, func() bool { return false })
		load := startLoad(t, server.address)
		loaded := a.slowest(t, time.Second, func() bool { return false })
		for _, name := range []string{"hunga", "hungb"} {
			startAttacker(t, name).ask(t)
		}
		slowest := a.slowest(t, loadTime, load.Exited)
		require.NoError(t, load.AwaitExit(20*time.Second))
		served := server.counted(t) - before

		var page string
		harness.Within(harness.Slow(10*time.Second), func() bool {
			page, _ = a.scrape(t)
			return requestsOf(t, page, "nginx")+connections >= served && requestsOf(t, page, "hunga")+requestsOf(t, page, "hungb") >= 2
		})
		got := requestsOf(t, page, "nginx")
		account, took := a.end(t, usual)
		t.Logf("nginx %d, agent %d; slowest scrape: quiet %s, under load %s, beside the attackers %s; ended after %s, usually %s\n%s", served, got, quiet, loaded, slowest, took, usual, account)
		assert.InDelta(t, served, got, connections)
		assert.Contains(t, account, " lost=0 ")
		assert.LessOrEqual(t, slowest, max(scrapeTime, 3*loaded), "the slowest scrape")
		for _, name := range []string{"hunga", "hungb"} {
			assert.EqualValues(t, 1, requestsOf(t, page, name), "%s goes by its command name", name)
		}
		assert.EqualValues(t, 2, harness.SumOf(t, page, "lapwing_agent_helpers_stuck"))
		assert.Positive(t, harness.SumOf(t, page, "lapwing_agent_processes_unanswered_total"))
		assert.Contains(t, a.Stderr(), "a process does not answer: it is left alone")
	})
}

// TestAgentThatFindsItHeld starts the agent next to such processes.
func TestAgentThatFindsItHeld(t *testing.T) {
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		usual := startAgent(t, plan)
		_, end := usual.end(t, 10*time.Second)
		held := startAttacker(t, "hunga")
		a := startAgent(t, plan)
		t.Logf("attached after %s, usually %s", a.attached, usual.attached)
		assert.Less(t, a.attached, 2*usual.attached+time.Second)
		held.ask(t)
		harness.Eventually(t, harness.Slow(10*time.Second), "its request", func() bool {
			page, _ := a.scrape(t)
			return requestsOf(t, page, "hunga") == 1
		})
		a.end(t, end)
	})
}
