package many

import (
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
	"lapwing/probes/socket/survey"
)

const mebi = 1 << 20

// openIdle opens connections, completes a request on each, and leaves them
// idle.
func openIdle(t *testing.T, s *server, n int) {
	t.Helper()
	const clients = 8
	all := make([][]net.Conn, clients)
	errs := make(chan error, clients)
	var wait sync.WaitGroup
	for i := range clients {
		wait.Go(func() {
			answer := make([]byte, 128)
			for k := i; k < n; k += clients {
				conn, err := net.Dial("tcp", s.at(k))
				if err == nil {
					all[i] = append(all[i], conn)
					err = ask(conn, "/", answer)
				}
				if err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wait.Wait()
	t.Cleanup(func() {
		for _, conns := range all {
			for _, conn := range conns {
				_ = conn.Close()
			}
		}
	})
	close(errs)
	require.NoError(t, <-errs)
}

// share returns the share of a CPU that the agent uses.
func (a *agent) share(during time.Duration) float64 {
	before, began := a.cpu(), time.Now()
	time.Sleep(during)
	return float64(a.cpu()-before) / float64(time.Since(began))
}

// longestPause is the longest pause of the agent between two snapshots.
const longestPause = 10 * time.Second

// atRest returns the share over such a pause. Because the machine has other
// work too, a share above most is measured again.
func (a *agent) atRest(most float64) (share float64) {
	for range 3 {
		if share = a.share(longestPause); share < most {
			break
		}
	}
	return share
}

// TestIdleConnections keeps 8,000 connections open that were used once; with
// LAPWING_SOAK 20,000, or as many as one process may have. The agent keeps
// worker pools and is scraped.
func TestIdleConnections(t *testing.T) {
	const (
		// In CPUs, more than without connections. It is 0.01 or less if no
		// bytes come or go on the host. With other traffic, which no test can
		// rule out, the limits of sweeps and snapshots add up to 0.0175.
		most   = 0.025
		each   = 7 << 8 // while they rest; 2.3 KiB before that, and the heap of the agent varies
		inAll  = 64 * mebi
		enough = 4000
	)
	wanted := 8_000
	if os.Getenv("LAPWING_SOAK") != "" {
		wanted = 20_000
	}
	n := room(t, wanted)
	require.GreaterOrEqual(t, n, enough)
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		s := startServer(t)
		a := startAgent(t, plan, 0)
		a.page()
		empty, base := a.group.Used(), a.share(longestPause/2)
		openIdle(t, s, n)
		lost := 0.0
		harness.Eventually(t, 20*time.Second, "all requests counted", func() bool {
			page := a.page()
			lost = harness.SumOf(t, page, "lapwing_agent_requests_lost_total")
			return harness.SumOf(t, page, "lapwing_agent_requests_total")+lost >= float64(n)
		})
		full := a.group.Used()
		rest := harness.Within(time.Minute, func() bool { return a.group.Used() < empty+uint64(n*each) })
		share := a.atRest(base + most)
		used := a.group.Used()
		perConn := (float64(used) - float64(empty)) / float64(n)
		t.Logf("%d idle connections: %.2f %% of a processor, %.2f %% without; %.1f MiB, %.1f MiB at first, %.1f MiB without, %.0f bytes each", n, 100*share, 100*base,
			float64(used)/mebi, float64(full)/mebi, float64(empty)/mebi, perConn)
		assert.Less(t, share-base, most)
		assert.True(t, rest, "%d bytes for a connection", each)
		assert.Less(t, used, uint64(inAll))
		// On a machine with other work, so many at once can be too fast for the
		// agent.
		assert.LessOrEqual(t, lost, float64(n)/100, "lost")
		require.NoError(t, a.Stop(), a.Stderr())
		if lost > 0 {
			t.Log(a.Stderr()) // explains the losses
		}
	})
}

// TestStartsWithLittleMemory starts the agent in a control group with 64 MiB,
// with everything enabled. It must measure and be scraped.
func TestStartsWithLittleMemory(t *testing.T) {
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		s := startServer(t)
		a := startAgent(t, plan, 64*mebi)
		const n = 500
		openIdle(t, s, n)
		harness.Eventually(t, 10*time.Second, "all requests counted", func() bool {
			return harness.SumOf(t, a.page(), "lapwing_agent_requests_total") >= n
		})
		assert.Zero(t, harness.SumOf(t, a.page(), "lapwing_agent_requests_lost_total"))
		t.Logf("%.1f MiB", float64(a.group.Used())/mebi)
		require.NoError(t, a.Stop(), a.Stderr())
	})
}
