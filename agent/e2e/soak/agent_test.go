package soak

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
	"lapwing/probes/socket/survey"
)

// agent is an agent that runs as a daemon.
type agent struct {
	*harness.Process
	metrics string
	slowest atomic.Int64 // longest scrape, in nanoseconds
	largest atomic.Int64 // largest scrape, in bytes
}

// limits are the limits of the metrics. The user soon reaches them, and from
// then on the memory stays constant.
const limits = "{max_label_sets: 100, max_series: 20000}"

// startAgent identifies the victims by properties that no user can choose.
func startAgent(t *testing.T, plan survey.Plan) *agent {
	t.Helper()
	a := &agent{metrics: harness.FreeAddress(t)}
	config := filepath.Join(t.TempDir(), "lapwing.yaml")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, `services:
  - {name: victim-nginx, exe: '%s'}
  - {name: victim-gunicorn, exe: '/usr/bin/python3*'}
metrics: %s
export: {prometheus: {listen: '%s'}}
`, harness.Installed(t, "nginx"), limits, a.metrics), 0o600))
	a.Process = harness.Start(t, exec.Command(harness.Lapwing(t), "run", "--config", config, "--probe-plan", string(plan)))
	harness.Eventually(t, 20*time.Second, "the agent is attached", func() bool {
		require.False(t, a.Exited(), a.Stderr())
		return strings.Contains(a.Stderr(), "probes attached")
	})
	return a
}

// scrape reads the metrics.
func (a *agent) scrape() (string, error) {
	page, took, err := harness.Scrape(a.metrics)
	a.slowest.Store(max(a.slowest.Load(), int64(took)))
	a.largest.Store(max(a.largest.Load(), int64(len(page))))
	return page, err
}

// page returns a scrape, which must succeed.
func (a *agent) page(t *testing.T) string {
	t.Helper()
	page, err := a.scrape()
	require.NoError(t, err, a.Stderr())
	return page
}

// answered returns how many requests of a service were answered as expected.
func answered(t *testing.T, page, service string) uint64 {
	t.Helper()
	return uint64(harness.SumOf(t, page, "http_server_request_duration_seconds_count", `service_name="`+service+`"`, `http_response_status_code="200"`))
}

// descriptors returns the open files of the agent, by type.
func (a *agent) descriptors(t *testing.T) (all int, kinds map[string]int) {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", a.PID())
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	kinds = map[string]int{}
	for _, e := range entries {
		what, err := os.Readlink(filepath.Join(dir, e.Name()))
		if err != nil {
			continue // closed in the meantime
		}
		for _, numbered := range []string{"socket", "pipe"} {
			if strings.HasPrefix(what, numbered+":") {
				what = numbered
			}
		}
		kinds[what]++
		all++
	}
	return all, kinds
}

// end sends SIGTERM and returns the final account.
func (a *agent) end(t *testing.T) (account string, took time.Duration) {
	t.Helper()
	began := time.Now()
	a.Signal(syscall.SIGTERM)
	err := a.AwaitExit(10 * time.Second)
	took = time.Since(began)
	assert.Equal(t, 0, harness.ExitStatus(err), a.Stderr())
	account = a.FinalAccount()
	assert.NotEmpty(t, account, "the final account")
	return account, took
}
