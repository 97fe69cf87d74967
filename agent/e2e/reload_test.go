package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"lapwing/agent/e2e/harness"
)

// TestReload changes the names of services and the routes of a running daemon.
// Earlier counts must stay, keys that cannot change must be reported, and a
// wrong file must change nothing.
func TestReload(t *testing.T) {
	server, metrics := startGunicorn(t), harness.FreeAddress(t)
	file := filepath.Join(t.TempDir(), "lapwing.yaml")
	write := func(name, more string) {
		writeFile(t, file, fmt.Sprintf("filter: {ports: [%[1]s]}\nservices: [{name: %[2]s, cmdline: application:app}]\nexport: {prometheus: {listen: '%[3]s'}}\n%[4]s",
			harness.Port(t, server.address), name, metrics, more))
	}
	seen := func(want string) {
		t.Helper()
		harness.Eventually(t, harness.Slow(10*time.Second), want, func() bool {
			page, _, _ := harness.Scrape(metrics)
			for line := range strings.Lines(page) {
				if strings.HasPrefix(line, "http_server_request_duration_seconds_count") && strings.Contains(line, want) {
					return true
				}
			}
			return false
		})
	}
	write("before", "")
	agent := harness.StartDaemon(t, "--config", file)
	askOnce(t, server.address+"/fast", "")
	seen(`service_name="before"`)

	told := func(what string) {
		t.Helper()
		agent.Signal(syscall.SIGHUP)
		harness.Eventually(t, harness.Slow(10*time.Second), what, func() bool { return strings.Contains(agent.Stderr(), what) })
	}
	write("broken", "nothing: {known: 1}\n")
	told(`level=ERROR msg="the configuration was not reloaded, that of before stays" error="` + file + `:4: nothing: unknown key`)
	askOnce(t, server.address+"/fast", "")
	seen(`service_name="before",url_scheme="http"} 2`)
	write("after", "routes: [{template: '/{name}'}]\nprobes: {head_bytes: 512}\n")
	told(`msg="some keys take effect when the agent is started again" keys=probes.head_bytes`)
	assert.Contains(t, agent.Stderr(), `msg="configuration reloaded" file=`+file+` applied="services routes"`)
	askOnce(t, server.address+"/fast", "")
	seen(`http_route="/{name}",network_protocol_version="1.1",service_name="after"`)
	seen(`service_name="before",url_scheme="http"} 2`)
	assert.False(t, agent.Exited())
}
