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
	"lapwing/probes/socket"
)

const application = `def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "3")])
    return [b"ok\n"]
`

// TestRecycling runs gunicorn, whose workers end after ten requests each. Its
// log says which it started.
func TestRecycling(t *testing.T) {
	const requests, each = 100, 10
	harness.ForEachPlan(t, func(t *testing.T, plan socket.Plan) {
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
		agent.Await(harness.Slow(20*time.Second), "all served", func(p harness.Pool) bool { return p.Served == requests })
		alive := func() []string {
			out, _ := exec.Command("pgrep", "-P", fmt.Sprint(p.PID())).Output()
			return strings.Fields(string(out))
		}
		now := agent.Await(harness.Slow(20*time.Second), "the workers that are there", func(pool harness.Pool) bool {
			return fmt.Sprint(pids(pool)) == fmt.Sprint(alive())
		})
		agent.Finish()
		require.NoError(t, p.Stop())

		booted := uint64(strings.Count(p.Stderr(), "Booting worker"))
		exited := uint64(strings.Count(p.Stderr(), "Worker exiting")) - uint64(now.Workers)
		assert.GreaterOrEqual(t, exited, uint64(requests/each-2))
		assert.Equal(t, exited, now.Exits)
		assert.Equal(t, booted-2, now.Starts, "two were there before the agent")
		assert.Equal(t, exited, now.Recycled)
		assert.Equal(t, uint64(requests), now.Served)
	})
}

func pids(p harness.Pool) []string {
	var all []string
	for _, w := range p.PerWorker {
		all = append(all, strconv.Itoa(int(w.PID)))
	}
	return all
}
