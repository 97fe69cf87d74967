package pooltest

import (
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
	"lapwing/probes/socket/survey"
)

// TestBacklogOverflows has more clients than the backlog can hold.
func TestBacklogOverflows(t *testing.T) {
	const limit = 3
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		s := startServer(t, "tcp", "--arch", "prefork", "--keepalive", "0", "--backlog", "3")
		agent := harness.StartPools(t, plan, append(s.filter(), "--interval", "200ms")...)
		s.ask(t, 0, "/fast").answered(t)
		agent.Await(harness.Slow(10*time.Second), "the listener", func(p harness.Pool) bool { return p.BacklogLimit == limit })
		for i := range workers {
			s.ask(t, 1+i, "/sleep?ms=4000")
		}
		agent.Await(harness.Slow(10*time.Second), "all workers busy", func(p harness.Pool) bool { return p.Busy == workers })
		for range 20 {
			go func() {
				c, err := net.DialTimeout("tcp", s.address, 2*time.Second)
				if err == nil {
					defer c.Close()
					time.Sleep(2 * time.Second)
				}
			}()
		}
		p := agent.Await(harness.Slow(10*time.Second), "drops", func(p harness.Pool) bool { return p.Overflows > 0 && p.BacklogLen > limit })
		// The kernel accepts one more than the limit, and concurrently one more
		// per CPU.
		assert.LessOrEqual(t, p.BacklogLen, limit+runtime.NumCPU())
		assert.GreaterOrEqual(t, p.BacklogMax, p.BacklogLen)
		assert.LessOrEqual(t, p.BacklogMax, limit+runtime.NumCPU())
		final := agent.Finish()
		require.Len(t, final.Pools, 1)
		// The host also counts for other listeners.
		dropped := final.Pools[0].Overflows
		assert.LessOrEqual(t, dropped, final.Host.ListenDrops, "the host counts %+v", final.Host)
		assert.GreaterOrEqual(t, 2*dropped, final.Host.ListenDrops, "the host counts %+v", final.Host)
	})
}
