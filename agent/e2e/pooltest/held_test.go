package pooltest

import (
	"bufio"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
	"lapwing/collectors/worker"
	"lapwing/probes/socket/survey"
)

// TestHeldByIdleConnections has four kept-alive connections that occupy all
// four workers. No worker reads the request of a fifth client.
func TestHeldByIdleConnections(t *testing.T) {
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		s := startServer(t, "tcp", "--arch", "threaded", "--keepalive", "20s")
		agent := harness.StartPools(t, plan, append(s.filter(), "--interval", "200ms")...)
		var kept []*client
		for i := range workers {
			c := s.ask(t, i, "/fast")
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			kept = append(kept, c)
		}
		last := s.ask(t, workers, "/fast")
		p := agent.Await(harness.Slow(10*time.Second), "four held workers and one request in dispatch", func(p harness.Pool) bool {
			// The snapshot after the first waiting connection shows that a
			// thread accepts for others.
			return p.Held == workers && p.Dispatch == 1 && p.Available == 0
		})
		assert.Equal(t, "KKKK", p.Scoreboard)
		assert.Equal(t, []int{workers, 0, 0}, []int{p.Workers, p.Busy, p.Available})

		require.NoError(t, kept[0].Close())
		last.answered(t)
		agent.Await(harness.Slow(10*time.Second), "the request is served", func(p harness.Pool) bool {
			return p.Served == workers+1 && p.Dispatch == 0
		})
		agent.Finish()
		for _, c := range append(kept[1:], last) {
			_ = c.Close()
		}
		require.NoError(t, s.Stop())
		served := map[uint32]bool{}
		for _, l := range s.truth(t) {
			served[l.TID] = true
		}
		for _, w := range p.PerWorker {
			assert.Equal(t, worker.Held, w.State)
			assert.True(t, served[w.TID], "thread %d never served", w.TID)
		}
	})
}

// TestSilentConnectionsHoldWorkers opens connections and sends nothing.
func TestSilentConnectionsHoldWorkers(t *testing.T) {
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		s := startServer(t, "unix", "--arch", "daemon", "--protocol", "http")
		agent := harness.StartPools(t, plan, append(s.filter(), "--interval", "200ms")...)
		s.ask(t, 0, "/fast").answered(t)
		for range 2 {
			s.silent(t)
		}
		p := agent.Await(harness.Slow(10*time.Second), "held workers beside available ones", func(p harness.Pool) bool {
			return p.Held >= 2 && p.Workers == workers
		})
		assert.Equal(t, workers, p.Held+p.Available)
		agent.Finish()
	})
}
