package pooltest

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
	"lapwing/collectors/request"
	"lapwing/collectors/worker"
	"lapwing/probes/socket/survey"
)

// overload is a server with four workers and forty clients.
type overload struct {
	name, network string
	args          []string
	backlog       bool // requests wait in the listen backlog, otherwise after accept
}

const (
	clients = 40
	// The first four keep the pool busy until all others wait.
	first   = 1500 * time.Millisecond
	working = 250 * time.Millisecond
	// tolerance is the difference between the stamps of the server and those of
	// the kernel on a busy machine. The compared times are up to 4 s.
	tolerance = 150 * time.Millisecond
)

func TestOverload(t *testing.T) {
	rows := []overload{
		{"prefork", "tcp", []string{"--arch", "prefork", "--keepalive", "0"}, true},
		{"threaded", "tcp", []string{"--arch", "threaded", "--keepalive", "0"}, false},
		{"daemon", "unix", []string{"--arch", "daemon", "--protocol", "http", "--keepalive", "0"}, true},
	}
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		for _, row := range rows {
			t.Run(row.name, func(t *testing.T) { row.test(t, plan) })
		}
	})
}

func (o overload) test(t *testing.T, plan survey.Plan) {
	s := startServer(t, o.network, o.args...)
	agent := harness.StartPools(t, plan, append(s.filter(), "--interval", "200ms")...)
	var asked []*client
	for i := range clients {
		took := working
		if i < workers {
			took = first
		}
		asked = append(asked, s.ask(t, i, "/sleep?ms="+strconv.Itoa(int(took.Milliseconds()))))
	}
	// Between two rounds of work, the counts are of different times.
	full := agent.Await(harness.Slow(20*time.Second), "a full pool and everybody else waiting", func(p harness.Pool) bool {
		return p.Busy == workers && p.BacklogLen+p.Dispatch == clients-workers-int(p.Served) && int(p.Served) < clients/2
	})
	waiting := clients - workers - int(full.Served)
	o.checkFull(t, full, waiting)
	for _, c := range asked {
		c.answered(t)
	}
	agent.Await(harness.Slow(10*time.Second), "all served", func(p harness.Pool) bool { return p.Served == clients })
	final := agent.Finish()
	require.NoError(t, s.Stop())
	truth := s.truth(t)
	require.Len(t, truth, clients)
	require.Len(t, final.Pools, 1)
	o.checkTotals(t, final.Pools[0], waiting, truth)
	checkAgainst(t, truth, asked, agent.Objects())
}

// checkFull checks a pool in which all workers are busy while others wait.
func (o overload) checkFull(t *testing.T, p harness.Pool, waiting int) {
	t.Helper()
	assert.Equal(t, "WWWW", p.Scoreboard)
	assert.Equal(t, workers, p.Workers)
	assert.Zero(t, p.Available)
	assert.Equal(t, workers, p.InFlight)
	if o.backlog {
		assert.Equal(t, []int{waiting, 511, 0}, []int{p.BacklogLen, p.BacklogLimit, p.Dispatch})
	} else {
		assert.Equal(t, []int{0, 511, waiting}, []int{p.BacklogLen, p.BacklogLimit, p.Dispatch})
	}
}

func (o overload) checkTotals(t *testing.T, p harness.Pool, waiting int, all []truth) {
	t.Helper()
	assert.Equal(t, uint64(clients), p.Served)
	assert.Equal(t, workers, p.MaxBusy)
	var busy time.Duration
	for _, l := range all {
		busy += time.Duration(l.Left - l.ReadFirst)
	}
	assert.InDelta(t, busy.Seconds(), p.BusyTime.Seconds(), busy.Seconds()/20)
	assert.Zero(t, p.Exits)
	if o.backlog {
		assert.GreaterOrEqual(t, p.BacklogMax, waiting)
		assert.LessOrEqual(t, p.BacklogMax, clients)
	}
}

// checkAgainst compares every busy worker in every object with the server's own
// stamps: its id, since when it worked, and how long the request waited.
func checkAgainst(t *testing.T, all []truth, asked []*client, objects []harness.PoolsObject) {
	t.Helper()
	clock := request.NewClock()
	seen := map[string]bool{}
	for _, o := range objects {
		if o.Final || len(o.Pools) != 1 {
			continue
		}
		for _, w := range o.Pools[0].PerWorker {
			if w.State != worker.Busy {
				continue
			}
			began := o.Pools[0].Time.Add(-w.Age)
			l := nearest(all, w.TID, began, clock)
			if !assert.NotNil(t, l, "a busy worker, thread %d, that served nothing", w.TID) {
				continue
			}
			id, err := strconv.Atoi(l.ID)
			require.NoError(t, err)
			seen[l.ID] = true
			assert.Equal(t, l.PID, w.PID)
			assert.WithinDuration(t, clock.Time(l.ReadFirst), began, tolerance)
			assert.InDelta(t, time.Duration(l.ReadFirst-asked[id].sent).Seconds(), w.Queue.Seconds(), tolerance.Seconds())
		}
	}
	assert.Greater(t, len(seen), clients/2, "most requests are looked at while they are in progress")
}

// nearest returns the request of a thread that started closest to a time.
func nearest(all []truth, tid uint32, at time.Time, clock *request.Clock) (best *truth) {
	for i := range all {
		l := &all[i]
		if l.TID == tid && (best == nil || clock.Time(l.ReadFirst).Sub(at).Abs() < clock.Time(best.ReadFirst).Sub(at).Abs()) {
			best = l
		}
	}
	return best
}

// TestPoolThatIsFullAtTheStart starts the agent when nothing moves any more.
func TestPoolThatIsFullAtTheStart(t *testing.T) {
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		s := startServer(t, "tcp", "--arch", "prefork", "--keepalive", "0")
		for i := range 10 {
			s.ask(t, i, "/sleep?ms=6000")
		}
		time.Sleep(500 * time.Millisecond) // the age that the agent must determine
		agent := harness.StartPools(t, plan, append(s.filter(), "--interval", "300ms")...)
		p := agent.Await(harness.Slow(5*time.Second), "four busy workers with their ages", func(p harness.Pool) bool {
			return p.Busy == workers && p.PerWorker[0].Age > 0
		})
		assert.True(t, p.Unconfirmed)
		assert.Equal(t, 6, p.BacklogLen)
		pids := map[uint32]bool{}
		for _, w := range p.PerWorker {
			pids[w.PID] = true
			assert.Greater(t, w.Age, 400*time.Millisecond)
			assert.Less(t, w.Age, 6*time.Second)
		}
		assert.Len(t, pids, workers)
		agent.Finish()
	})
}
