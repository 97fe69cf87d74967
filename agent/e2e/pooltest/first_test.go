package pooltest

import (
	"bufio"
	"cmp"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
	"lapwing/probes/socket/survey"
)

// kinds are the servers that are tested together. They differ in where their
// clients wait, and in what the kernel reports.
var kinds = []struct {
	name, network string
	args          []string
	backlog       bool // clients wait in the backlog, otherwise accepted and unread
}{
	{"prefork", "tcp", []string{"--arch", "prefork"}, true},
	{"threaded", "tcp", []string{"--arch", "threaded"}, false},
	{"daemon", "unix", []string{"--arch", "daemon", "--protocol", "http"}, true},
}

// startKinds starts a server of each kind. The configuration has the names of
// their pools.
func startKinds(t *testing.T, args ...string) (all []*server, config string) {
	t.Helper()
	rules := "services:\n"
	for _, k := range kinds {
		s := startServer(t, k.network, append(k.args, args...)...)
		all = append(all, s)
		rules += fmt.Sprintf("  - name: %s\n    cmdline: %q\n", k.name, regexp.QuoteMeta(s.address)+" ")
	}
	config = filepath.Join(t.TempDir(), "lapwing.yaml")
	require.NoError(t, os.WriteFile(config, []byte(rules), 0o600))
	return all, config
}

func poolOf(t *testing.T, o harness.PoolsObject, name string) harness.Pool {
	t.Helper()
	i := slices.IndexFunc(o.Pools, func(p harness.Pool) bool { return p.Service == name })
	require.GreaterOrEqual(t, i, 0, "no pool %s", name)
	return o.Pools[i]
}

// TestTotalOutageAtTheFirstLook starts the agent when every worker is held by a
// kept-alive connection and all other clients wait. Nothing moves, and no
// request is ever seen.
func TestTotalOutageAtTheFirstLook(t *testing.T) {
	const waiting = 11
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		all, config := startKinds(t, "--keepalive", "60s")
		for _, s := range all {
			for i := range workers {
				resp, err := http.ReadResponse(bufio.NewReader(s.ask(t, i, "/fast")), nil)
				require.NoError(t, err)
				require.NoError(t, resp.Body.Close())
			}
			for i := range waiting {
				s.ask(t, workers+i, "/fast")
			}
		}
		agent := harness.StartPools(t, plan, "--config", config, "--interval", "1s")
		harness.Eventually(t, 10*time.Second, "a look", func() bool { return len(agent.Objects()) > 0 })
		for _, k := range kinds {
			p := poolOf(t, agent.Objects()[0], k.name)
			assert.Equal(t, "KKKK", p.Scoreboard, k.name)
			assert.Equal(t, []int{workers, workers, 0, 0}, []int{p.Workers, p.Held, p.Busy, p.Available}, k.name)
			if k.backlog {
				assert.Equal(t, []int{waiting, 511, 0}, []int{p.BacklogLen, p.BacklogLimit, p.Dispatch}, k.name)
			} else {
				assert.Equal(t, []int{0, waiting}, []int{p.BacklogLen, p.Dispatch}, k.name)
			}
			assert.True(t, p.Unconfirmed)
		}
		agent.Finish()
	})
}

// load sends requests repeatedly until it is ended.
type load struct {
	done chan struct{}
	all  sync.WaitGroup
}

func (l *load) end() {
	close(l.done)
	l.all.Wait()
}

// one sends one request on a connection of its own.
func (s *server) one(path string) {
	c, err := net.Dial(s.network, s.address)
	if err != nil {
		return
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(cmp.Or(s.patience, 30*time.Second)))
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path); err != nil {
		return
	}
	for b := make([]byte, 512); err == nil; _, err = c.Read(b) {
	}
}

// closed keeps a number of clients busy, each of which waits for its response.
func (s *server) closed(clients int, path string) *load {
	l := &load{done: make(chan struct{})}
	for range clients {
		l.all.Go(func() {
			for {
				select {
				case <-l.done:
					return
				default:
					s.one(path)
				}
			}
		})
	}
	return l
}

// open sends requests at an interval, even if earlier ones still wait.
func (s *server) open(every time.Duration, path string) *load {
	l := &load{done: make(chan struct{})}
	l.all.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-l.done:
				return
			case <-tick.C:
				go s.one(path)
			}
		}
	})
	return l
}

// TestFirstFigures starts the agent during a steady overload: 12 clients, 4
// workers, 400 ms each. Every figure that it reports must be true: ten requests
// a second, and never a free worker.
func TestFirstFigures(t *testing.T) {
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		all, config := startKinds(t, "--keepalive", "0")
		for _, s := range all {
			l := s.closed(12, "/sleep?ms=400")
			defer l.end()
		}
		time.Sleep(1500 * time.Millisecond)
		agent := harness.StartPools(t, plan, "--config", config, "--interval", "1s", "--for", "6s")
		require.NoError(t, agent.AwaitExit(30*time.Second))
		final := agent.Finish()
		for _, k := range kinds {
			told := 0
			for i, o := range agent.Objects() {
				p := poolOf(t, o, k.name)
				if p.Rate != nil {
					told++
					assert.InDelta(t, 10, *p.Rate, 4.5, "%s, table %d", k.name, i) // four end at the same time
				}
				if p.Utilisation != nil {
					assert.GreaterOrEqual(t, *p.Utilisation, .85, "%s, table %d", k.name, i)
				}
			}
			assert.GreaterOrEqual(t, told, 2, "%d tables", len(agent.Objects()))
			last := poolOf(t, final, k.name)
			if assert.NotNil(t, last.Rate, k.name) && assert.NotNil(t, last.Utilisation, k.name) {
				assert.InDelta(t, 10, *last.Rate, 2, k.name)
				assert.GreaterOrEqual(t, *last.Utilisation, .9, k.name)
			}
		}
	})
}

// TestNeedIsNotBoundedByThePool sends requests of 300 ms to four workers, more
// or fewer than four workers can serve.
func TestNeedIsNotBoundedByThePool(t *testing.T) {
	need := map[string]int{"prefork": 6, "threaded": 10, "daemon": 2}
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		all, config := startKinds(t, "--keepalive", "0")
		agent := harness.StartPools(t, plan, "--config", config, "--interval", "500ms")
		for i, k := range kinds {
			l := all[i].open(300*time.Millisecond/time.Duration(need[k.name]), "/sleep?ms=300")
			defer l.end()
		}
		time.Sleep(6 * time.Second)
		final := agent.Finish()
		for _, k := range kinds {
			p, want := poolOf(t, final, k.name), need[k.name]
			if assert.NotNil(t, p.Needed, k.name) {
				assert.InDelta(t, want, *p.Needed, float64(want)/4, k.name)
			}
			assert.GreaterOrEqual(t, p.MaxBusy, min(workers, want), k.name)
			assert.LessOrEqual(t, p.MaxBusy, workers, k.name)
		}
	})
}
