package pooltest

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
	"lapwing/probes/socket/survey"
)

// TestMultipathListener has clients, some with MPTCP, that wait for a listener
// with MPTCP, which is the default for Go's listeners.
func TestMultipathListener(t *testing.T) {
	text, err := os.ReadFile("/proc/sys/net/core/somaxconn")
	require.NoError(t, err)
	limit, err := strconv.Atoi(strings.TrimSpace(string(text)))
	require.NoError(t, err)
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		var config net.ListenConfig
		config.SetMultipathTCP(true)
		l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
		require.NoError(t, err)
		const waiting = 5
		agent := harness.StartPools(t, plan, "--exe", harness.Executable(t), "--interval", "300ms")
		for i := range waiting {
			var d net.Dialer
			d.SetMultipathTCP(i%2 == 0)
			c, err := d.Dial("tcp", l.Addr().String())
			require.NoError(t, err)
			defer c.Close()
			_, err = fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			require.NoError(t, err)
		}
		p := agent.Await(harness.Slow(20*time.Second), "all in the backlog", func(p harness.Pool) bool { return p.BacklogLen == waiting })
		assert.Equal(t, limit, p.BacklogLimit)
		if assert.Len(t, p.Listeners, 1) {
			assert.Equal(t, l.Addr().String(), p.Listeners[0].Address)
		}
		release := make(chan struct{})
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { <-release })}
		go func() { _ = server.Serve(l) }()
		defer server.Close()
		agent.Await(harness.Slow(20*time.Second), "all in flight", func(p harness.Pool) bool { return p.InFlight == waiting && p.BacklogLen == 0 })
		close(release)
		p = agent.Await(harness.Slow(20*time.Second), "all served", func(p harness.Pool) bool { return p.Served == waiting && p.InFlight == 0 })
		assert.Equal(t, limit, p.BacklogLimit)
		assert.GreaterOrEqual(t, p.BacklogMax, waiting)
		agent.Finish()
	})
}
