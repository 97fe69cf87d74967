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
	"lapwing/exporters"
)

// staged are pools that change with every look: each worker serves two more
// requests, one of them is busy half of the time.
type staged struct{ looks int }

func (s *staged) Host() (worker.Host, error) {
	return worker.Host{ListenDrops: 3, ListenOverflows: 2}, nil
}

func (s *staged) Losses() map[string]uint64 {
	return map[string]uint64{"too_many_services": 5, "too_many_connections": 0}
}

func (s *staged) Snapshot() []worker.Snapshot {
	s.looks++
	at := time.Date(2026, 1, 2, 3, 4, s.looks, 0, time.UTC)
	since := at.Add(-time.Hour)
	n := uint64(s.looks)
	return []worker.Snapshot{{
		Service: "shop", Time: at, Workers: 5, Busy: 3, Held: 1, Available: 1, InFlight: 3, Dispatch: 7, MaxNeeded: 4,
		BusyTime: time.Duration(n) * 10 * time.Second, WorkerTime: time.Duration(n) * 50 * time.Second,
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

func noHealth() exporters.Health { return exporters.Health{} }

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
	assert.Contains(t, out, "shop                5    3    1    1    20    4    36/511   40")
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
		assert.InDelta(t, .2, p.Utilisation, 1e-9)
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
	lines := poolLines(&p, time.Second, 54)
	require.Len(t, lines, 3)
	assert.Equal(t, "  "+strings.Repeat("_", 50), lines[1])
}
