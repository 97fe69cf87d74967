package console

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/collectors/worker"
	"lapwing/exporters/health"
)

var stagedNeed = 11.2

// staged returns pools that change at every look: each worker serves two more
// requests, and one of them is busy half of the time.
type staged struct{ looks int }

func (s *staged) Host() (worker.Host, error) {
	return worker.Host{ListenDrops: 3, ListenOverflows: 2}, nil
}

func (s *staged) Since() time.Time { return time.Now().Add(-time.Hour) }

func (s *staged) Losses() map[string]uint64 {
	return map[string]uint64{"too_many_services": 5, "too_many_connections": 0}
}

func (s *staged) Snapshot() []worker.Snapshot {
	s.looks++
	at := time.Date(2026, 1, 2, 3, 4, s.looks, 0, time.UTC)
	since := at.Add(-time.Hour)
	n := uint64(s.looks)
	return []worker.Snapshot{{
		Service: "shop", Time: at, Settled: at, Observed: worker.Observed{Settled: since}, Workers: 5, Busy: 3, Held: 1, Available: 1, InFlight: 3, Dispatch: 7, MaxBusy: 4, Needed: &stagedNeed, NeededAtLeast: true,
		BusyTime: time.Duration(n) * 10 * time.Microsecond, WorkerTime: time.Duration(n) * 50 * time.Microsecond,
		Served: 4 * n, BacklogLen: 36, BacklogLimit: 511, BacklogMax: 40, Overflows: n,
		Listeners: []worker.Listener{{Address: "127.0.0.1:80", Len: 36, Limit: 511}},
		PerWorker: []worker.Worker{
			{PID: 10, TID: 10, State: worker.Busy, InFlight: 1, Phase: "app", Age: 1200 * time.Millisecond, Served: 2 * n, Since: since,
				BusyTime: time.Duration(n) * time.Millisecond, Longest: 3 * time.Second, Process: &worker.Process{RSS: 25 << 20}},
			{PID: 11, TID: 11, State: worker.Busy, InFlight: 1, Phase: "parse", Age: time.Millisecond, Since: since},
			{PID: 12, TID: 13, State: worker.Held, Since: since},
			{PID: 14, TID: 14, State: worker.Available, Since: since},
			{PID: 15, State: worker.Busy, InFlight: 1, Since: since},
		},
	}}
}

func noHealth() health.Health { return health.Health{} }

// shownPools runs RunPools until the output satisfies enough.
func shownPools(t *testing.T, opts TopOptions, enough func(string) bool) string {
	t.Helper()
	var out buffer
	opts.Out, opts.Interval = &out, 10*time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- RunPools(ctx, new(staged), noHealth, opts) }()
	eventually(t, "the pools are shown", func() bool { return enough(out.String()) })
	cancel()
	require.NoError(t, <-done)
	return out.String()
}

func TestPoolsText(t *testing.T) {
	out := shownPools(t, TopOptions{Width: 90}, func(s string) bool { return strings.Count(s, "POOL") > 1 })
	assert.Equal(t, 1, strings.Count(out, "K held"), "the legend is written once")
	assert.Contains(t, out, "shop                5    3    1    1    20    4   12+    36/511   40")
	assert.Contains(t, out, "\n  WRK_W\n")
	assert.Contains(t, out, "       10      10 busy app          1.20s")
	assert.Contains(t, out, "    25M   3.00s")
	assert.Contains(t, out, "       15       - busy                  -")
	assert.Contains(t, out, "host: 3 connection attempts dropped by listeners (2 overflows)")
	assert.Contains(t, out, "left out too_many_services 5")
	assert.NotContains(t, out, "too_many_connections")
	assert.Contains(t, out, "since the start")
	for line := range strings.Lines(out) {
		assert.LessOrEqual(t, len(strings.TrimRight(line, "\n")), 95, "a line is too long")
	}
}

func TestPoolsJSON(t *testing.T) {
	out := shownPools(t, TopOptions{Format: FormatJSON}, func(s string) bool { return strings.Count(s, "\n") > 2 })
	lines := strings.Split(strings.TrimSpace(out), "\n")
	for i, line := range lines {
		var o jsonPools
		require.NoError(t, json.Unmarshal([]byte(line), &o))
		require.Equal(t, i == len(lines)-1, o.Final)
		require.Len(t, o.Pools, 1)
		assert.Equal(t, map[string]uint64{"too_many_services": 5}, o.LeftOut)
		p := o.Pools[0]
		assert.Equal(t, "WRK_W", p.Scoreboard)
		assert.InDelta(t, .2, *p.Utilisation, 1e-9)
		if i > 0 && !o.Final {
			assert.Equal(t, uint64(4), p.Requests, "of the interval alone")
			assert.Equal(t, uint64(1), p.Drops)
		}
	}
}

func TestPoolsLive(t *testing.T) {
	m := newPoolsModel(new(staged), noHealth, TopOptions{}.withDefaults())
	for _, size := range [][2]int{{80, 24}, {200, 60}, {40, 8}, {1, 1}} {
		m.width, m.height = size[0], size[1]
		lines := strings.Split(m.View(), "\n")
		assert.Len(t, lines, size[1])
	}
	m.width, m.height = 100, 24
	assert.Contains(t, m.View(), "> shop")
	assert.Contains(t, m.View(), "left out too_many_services 5")
	m.key("p")
	assert.Contains(t, m.View(), "PAUSED")
	m.key("?")
	assert.Contains(t, m.View(), "Any key closes this page.")
	m.key("x")
	assert.NotContains(t, m.View(), "Any key closes this page.")
	assert.NotNil(t, m.key("q"))
}

func TestLongScoreboardsAreWrapped(t *testing.T) {
	p := poolView{}
	for range 100 {
		p.PerWorker = append(p.PerWorker, worker.Worker{State: worker.Available})
	}
	lines := poolLines(&p, 54)
	require.Len(t, lines, 3)
	assert.Equal(t, "  "+strings.Repeat("_", 50), lines[1])
}

// TestNarrowPools checks that a terminal of 80 columns shows the rate, and a
// wider one the other columns too.
func TestNarrowPools(t *testing.T) {
	p := poolView{Snapshot: new(staged).Snapshot()[0]}
	for width, want := range map[int]string{
		80:  "SERVICE          POOL BUSY HELD FREE UTIL%  NEED   BACKLOG DROPS WAIT  REQ/S",
		100: "SERVICE          POOL BUSY HELD FREE UTIL% MOST  NEED   BACKLOG  MAX DROPS WAIT  REQ/S",
	} {
		assert.Equal(t, want, poolHead(width))
		assert.Len(t, poolRow(&p, width), len(want))
		assert.LessOrEqual(t, len(want), width)
	}
}

// TestFiguresThatAreNotKnown reads the figures before anything was observed.
func TestFiguresThatAreNotKnown(t *testing.T) {
	now := time.Now()
	p := worker.Snapshot{Service: "shop", Workers: 2, Served: 9, Ended: 7, Settled: now}
	v := viewOf(p, poolPast{}, now.Add(-10*time.Second))
	assert.Equal(t, "shop                2    0    0    0     -    0     -         -    0     0    0      -", poolRow(&v, 100))
	p.Observed = worker.Observed{Settled: now.Add(-2 * time.Second), Ended: 3}
	v = viewOf(p, poolPast{}, now.Add(-10*time.Second))
	require.NotNil(t, v.Rate)
	assert.InDelta(t, 2, *v.Rate, 1e-6, "what was in flight at the start ended two seconds ago")
	assert.Nil(t, v.Utilisation, "no worker was there")
	p.Observed.Settled = now.Add(-100 * time.Millisecond)
	v = viewOf(p, poolPast{}, now.Add(-10*time.Second))
	assert.Nil(t, v.Rate, "too short to tell")
}

// TestWorkersThatBecomeKnown checks that such workers only count for the time
// of the table.
func TestWorkersThatBecomeKnown(t *testing.T) {
	now := time.Now()
	p := worker.Snapshot{Workers: 2, BusyTime: 3 * time.Second, WorkerTime: time.Hour, Settled: now, Observed: worker.Observed{Settled: now.Add(-time.Hour)}}
	past := worker.Snapshot{Workers: 1, BusyTime: time.Second, WorkerTime: time.Minute, Settled: now.Add(-2 * time.Second)}
	v := viewOf(p, poolPast{pool: past}, now.Add(-2*time.Second))
	assert.InDelta(t, .5, *v.Utilisation, 1e-6)
}

// TestAbandonedConnectionsAreShownByListener has more listeners than are named.
func TestAbandonedConnectionsAreShownByListener(t *testing.T) {
	h := health.Health{health.Abandoned: health.ByBoth(map[string]map[string]uint64{
		"127.0.0.1:80":   {"not_accepted": 3, "client_reset": 40},
		"127.0.0.1:81":   {"not_read": 1},
		"unix:/run/a":    {"not_accepted": 2},
		"127.0.0.1:82":   {"not_read": 7},
		"127.0.0.1:8080": {"client_reset": 1},
	})}
	assert.Equal(t, []string{
		"abandoned at 127.0.0.1:80 client_reset 40", "abandoned at 127.0.0.1:80 not_accepted 3",
		"abandoned at 127.0.0.1:82 not_read 7", "abandoned at unix:/run/a not_accepted 2", "abandoned at 127.0.0.1:8080 client_reset 1",
	}, abandonedFacts(h))
	assert.Empty(t, abandonedFacts(health.Health{}))
}

// TestPoolsOfWhichSomethingIsNotKnown has drops that may be more, and workers that
// are not known.
func TestPoolsOfWhichSomethingIsNotKnown(t *testing.T) {
	p := poolView{Snapshot: worker.Snapshot{Service: "shop", Workers: 1, Busy: 1, MaxBusy: 1, Overflows: 12}}
	assert.Equal(t, "12", dropsText(&p))
	p.OverflowsAtLeast = true
	assert.Equal(t, "12+", dropsText(&p))
	p.Overflows = 0
	assert.Equal(t, "-", dropsText(&p))
	p.Hidden = true
	assert.Equal(t, "shop                -    -    -    -     -    -     -         -    0     -    0      -", poolRow(&p, 100))
	for _, row := range []struct {
		of   worker.Worker
		text string
	}{
		{worker.Worker{State: worker.Unknown, InFlight: 5}, "? 5 in flight"},
		{worker.Worker{State: worker.Unknown}, "unknown"},
		{worker.Worker{State: worker.Busy, InFlight: 5}, "busy 5 in flight"},
	} {
		assert.Equal(t, row.text, stateText(&row.of))
	}
	out := jsonPool{Snapshot: p.Snapshot}
	out.tell()
	raw, err := json.Marshal(out)
	require.NoError(t, err)
	for _, name := range []string{"workers", "busy", "held", "available", "max_busy", "utilisation"} {
		assert.Contains(t, string(raw), `"`+name+`":null`)
	}
}
