package many

import (
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
	"lapwing/probes/socket/survey"
)

// churn counts what clients did that open a connection for each request.
type churn struct {
	opened, answered, silent atomic.Int64
}

// run connects, sends a request and closes until the time is over. The server
// closes every second connection. Every tenth is closed without a request.
func (c *churn) run(s *server, until time.Time, clients int) error {
	errs := make(chan error, clients)
	var wait sync.WaitGroup
	for i := range clients {
		wait.Go(func() {
			answer := make([]byte, 128)
			for k := 0; time.Now().Before(until); k++ {
				if err := c.one(s.at(i+clients*k), k, answer); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wait.Wait()
	close(errs)
	return <-errs
}

func (c *churn) one(address string, k int, answer []byte) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	c.opened.Add(1)
	if k%10 == 9 {
		c.silent.Add(1)
		return nil
	}
	path := "/"
	if k%2 == 0 {
		path = "/last"
	}
	if err := ask(conn, path, answer); err != nil {
		return err
	}
	c.answered.Add(1)
	return nil
}

// TestConnectionsComeAndGo opens and closes connections as fast as the machine
// can. The counts of the clients, the server and the agent must be equal. With
// LAPWING_SOAK it runs for 30 seconds.
func TestConnectionsComeAndGo(t *testing.T) {
	length := 4 * time.Second
	if os.Getenv("LAPWING_SOAK") != "" {
		length = 30 * time.Second
	}
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		s := startServer(t)
		a := startAgent(t, plan, 0, "LAPWING_FILTER_PORTS="+strconv.Itoa(s.port)) // scrapes are requests too
		var c churn
		began := time.Now()
		require.NoError(t, c.run(s, began.Add(length), 8))
		took := time.Since(began)
		served := s.answered()
		var page string
		counted := func(metric string) float64 { return harness.SumOf(t, page, metric) }
		harness.Within(10*time.Second, func() bool {
			page = a.page()
			return counted("lapwing_agent_requests_total")+counted("lapwing_agent_requests_lost_total") >= float64(served)
		})
		t.Logf("%d connections in %s, %.0f a second: %d answered, %d silent; agent: %v requests, lost %v, %.1f MiB",
			c.opened.Load(), took.Round(time.Millisecond), float64(c.opened.Load())/took.Seconds(), c.answered.Load(), c.silent.Load(),
			counted("lapwing_agent_requests_total"), counted("lapwing_agent_requests_lost_total"), float64(a.group.Used())/mebi)
		assert.EqualValues(t, c.answered.Load(), served, "clients and server")
		assert.EqualValues(t, served, counted("lapwing_agent_requests_total")+counted("lapwing_agent_requests_lost_total"), "server and agent")
		assert.Zero(t, counted("lapwing_agent_requests_incomplete_total"))
		assert.Zero(t, counted("lapwing_agent_connections_unknown_total"))
		assert.Zero(t, counted("lapwing_agent_connections_abandoned_total"), "nobody left anything unread")
		require.NoError(t, a.Stop(), a.Stderr())
	})
}
