package pooltest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
	"lapwing/probes/socket/survey"
)

const (
	sleepingWSGI = `import time

def application(environ, start_response):
    time.sleep(0.2)
    start_response("200 OK", [("Content-Length", "3")])
    return [b"ok\n"]
`
	sleepingRack = `run lambda { |env| sleep 0.2; [200, { "Content-Type" => "text/plain", "Content-Length" => "3" }, ["ok\n"]] }
`
	sleepingNode = `const [host, port] = process.argv[2].split(":");
require("http").createServer((q, r) => setTimeout(() => { r.setHeader("Connection", "close"); r.end("ok\n"); }, 20)).listen(+port, host);
`
)

// TestThreadsBehindOneThatReads has servers in which one thread reads and
// answers all requests. In two of them, an unknown number of other threads does
// the work. In the third, the thread does it itself, and is a pool of one.
func TestThreadsBehindOneThatReads(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"sleeping.py": sleepingWSGI, "sleeping.ru": sleepingRack, "sleeping.js": sleepingNode} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	rows := []struct {
		name   string
		hidden bool
		start  func(host, port string) *exec.Cmd
	}{
		{"twisted", true, func(host, port string) *exec.Cmd {
			return exec.Command(harness.Installed(t, "twist3"), "web", "--wsgi=sleeping.application", "--listen=tcp:"+port+":interface="+host)
		}},
		{"thin", true, func(host, port string) *exec.Cmd {
			return exec.Command(harness.Installed(t, "thin"), "start", "--threaded", "--address", host, "--port", port, "--rackup", "sleeping.ru")
		}},
		{"node", false, func(host, port string) *exec.Cmd {
			return exec.Command(harness.Installed(t, "node"), "sleeping.js", net.JoinHostPort(host, port))
		}},
	}
	config := "services:\n"
	servers := make([]*server, len(rows))
	for i, row := range rows {
		address := harness.FreeAddress(t)
		host, port, err := net.SplitHostPort(address)
		require.NoError(t, err)
		cmd := row.start(host, port)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "PYTHONPATH="+dir)
		servers[i] = &server{Process: harness.Start(t, cmd), network: "tcp", address: address}
		config += fmt.Sprintf("  - name: behind-%s\n    port: %s\n", row.name, port)
	}
	file := filepath.Join(dir, "lapwing.yaml")
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	for _, s := range servers {
		harness.AwaitListener(t, s.Process, s.address)
	}
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		agent := harness.StartPools(t, plan, "--config", file, "--interval", "300ms")
		for _, s := range servers {
			l := s.closed(6, "/")
			defer l.end()
		}
		for _, row := range rows {
			agent.AwaitOf(harness.Slow(20*time.Second), "behind-"+row.name, "the pool as it is", func(p harness.Pool) bool {
				return p.Served > 20 && p.Hidden == row.hidden && p.InFlight > 0
			})
		}
		time.Sleep(2 * time.Second)
		final := agent.Finish()
		for _, row := range rows {
			last := poolOf(t, final, "behind-"+row.name)
			assert.Equal(t, row.hidden, last.Hidden, row.name)
			if !row.hidden {
				assert.Equal(t, 1, last.Workers, row.name)
				assert.NotNil(t, last.Utilisation, row.name)
				continue
			}
			assert.Zero(t, last.Workers, "%s: null", row.name)
			assert.Nil(t, last.Needed, row.name)
			assert.Nil(t, last.Utilisation, row.name)
			for i, o := range agent.Objects() {
				for _, p := range o.Pools {
					if p.Service == last.Service && p.InFlight > 0 {
						assert.True(t, p.Hidden, "%s, table %d: %+v", row.name, i, p.Snapshot)
					}
				}
			}
		}
	})
}
