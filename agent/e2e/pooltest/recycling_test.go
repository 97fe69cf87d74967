package pooltest

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
	"lapwing/probes/socket/survey"
)

const application = `def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "3")])
    return [b"ok\n"]
`

// TestRecycling runs gunicorn, whose workers end after ten requests each. Its
// log shows which workers it started.
func TestRecycling(t *testing.T) {
	const requests, each = 100, 10
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		dir, address := t.TempDir(), harness.FreeAddress(t)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "application.py"), []byte(application), 0o600))
		p := harness.Start(t, exec.Command(harness.Installed(t, "gunicorn"), "--chdir", dir, "--bind", address,
			"--workers", "2", "--max-requests", strconv.Itoa(each), "--worker-tmp-dir", dir, "application:app"))
		harness.AwaitListener(t, p, address)
		agent := harness.StartPools(t, plan, "--pid", fmt.Sprint(p.PID()), "--interval", "200ms")
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: harness.Slow(20 * time.Second)}
		for range requests {
			resp, err := client.Get("http://" + address + "/")
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, http.StatusOK, resp.StatusCode)
		}
		logged := func(what string) uint64 { return uint64(strings.Count(p.Stderr(), what)) }
		now := agent.Await(harness.Slow(20*time.Second), "what gunicorn's log and process list say", func(pool harness.Pool) bool {
			return pool.Served == requests && fmt.Sprint(pids(pool)) == fmt.Sprint(children(p.PID())) &&
				pool.Exits == logged("Worker exiting") && pool.Exits == logged("Booting worker")-2 &&
				pool.Starts >= pool.Exits // each was replaced; the last ones may just have been seen
		})
		agent.Finish()
		assert.GreaterOrEqual(t, now.Exits, uint64(requests/each-1))
		// The first two can come and go before anything except their requests
		// is known. Then they count as started.
		assert.LessOrEqual(t, now.Starts, now.Exits+2)
		assert.Equal(t, now.Exits, now.Recycled)
		assert.Equal(t, 2, now.Workers)
	})
}

func pids(p harness.Pool) []string {
	var all []string
	for _, w := range p.PerWorker {
		all = append(all, strconv.Itoa(int(w.PID)))
	}
	return all
}

// children lists the processes that a process started.
func children(pid int) []string {
	out, _ := exec.Command("pgrep", "-P", fmt.Sprint(pid)).Output()
	return strings.Fields(string(out))
}
