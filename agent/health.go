package agent

import (
	"context"
	"log/slog"
	"time"

	"lapwing/exporters"
	"lapwing/probes/socket"
)

// keepUpEvery is how often the wall clock is read again and the identities of
// processes are looked over.
const keepUpEvery = 5 * time.Second

// keepUp does what is to be done now and then while the agent runs.
func (a *Agent) keepUp(ctx context.Context) {
	tick := time.NewTicker(keepUpEvery)
	defer tick.Stop()
	logged := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			a.clock.Sync()
			a.services.Refresh()
			if every := a.cfg.Health.LogInterval; every > 0 && now.Sub(logged) >= every {
				logged = now
				a.logHealth("running")
			}
		}
	}
}

// Health is the agent's account of itself. It is safe for concurrent use.
func (a *Agent) Health() exporters.Health {
	counts := a.assembler.Counts()
	stats := a.stats()
	joins := a.stitcher.Counts()
	joins.Calls.Unjoined["ring_full"] = stats.LostCalls
	h := exporters.Health{
		Requests:   counts.Requests,
		Incomplete: counts.Incomplete,
		Tunnels:    counts.Tunnels,
		Unknown:    counts.Unknown,
		Lost: nonZero(map[string]uint64{
			"ring_full":        stats.LostRing,
			"ring_full_events": max(stats.LostEvents, counts.LostEvents),
			"table_full":       stats.LostTable,
			"framing_lost":     counts.Desynced,
			"too_many_open":    counts.Overflowed,
		}),
		SkippedRuns: stats.Skipped,
		MissedStart: nonZero(map[string]uint64{
			"queued":      stats.MissedQueued,
			"in_progress": stats.MissedProgress,
		}),
		Joined:        joins.Requests.Joined,
		Unjoined:      joins.Requests.Unjoined,
		CallsJoined:   joins.Calls.Joined,
		CallsUnjoined: nonZero(joins.Calls.Unjoined),
		Dropped:       map[string]map[string]uint64{},
	}
	for _, e := range a.exporters {
		if d, ok := e.Exporter.(interface{ Dropped() map[string]uint64 }); ok {
			h.Dropped[e.name] = nonZero(d.Dropped())
		}
	}
	return h
}

// stats are the kernel side's counts: all zero before the probes are attached,
// the last ones after they are closed.
func (a *Agent) stats() socket.Stats {
	a.statsMu.Lock()
	defer a.statsMu.Unlock()
	if a.probe == nil {
		return a.lastStats
	}
	s, err := a.probe.Stats()
	if err != nil {
		a.log.Warn("the probes' counts cannot be read", "error", err)
		return a.lastStats
	}
	a.lastStats = s
	return s
}

// closeProbe keeps the last counts of the probes and closes them.
func (a *Agent) closeProbe() error {
	a.stats()
	a.statsMu.Lock()
	defer a.statsMu.Unlock()
	err := a.probe.Close()
	a.probe = nil
	return err
}

func nonZero(counts map[string]uint64) map[string]uint64 {
	for cause, n := range counts {
		if n == 0 {
			delete(counts, cause)
		}
	}
	return counts
}

func (a *Agent) logHealth(message string) {
	h := a.Health()
	attrs := []any{"requests", h.Requests, "incomplete", h.Incomplete, "tunnels", h.Tunnels,
		"probe_runs_skipped", h.SkippedRuns,
		"joined", h.Joined, "calls_joined", h.CallsJoined}
	groups := map[string]map[string]uint64{
		"lost": h.Lost, "missed_start": h.MissedStart, "unknown": h.Unknown,
		"unjoined": h.Unjoined, "calls_unjoined": h.CallsUnjoined,
	}
	for _, name := range []string{"lost", "missed_start", "unknown", "unjoined", "calls_unjoined"} {
		attrs = append(attrs, countGroup(name, groups[name]))
	}
	for name, causes := range h.Dropped {
		attrs = append(attrs, countGroup("dropped_"+name, causes))
	}
	a.log.Info(message, attrs...)
}

// countGroup is a group of counts, or a plain zero: an empty group would not
// be shown at all.
func countGroup(name string, counts map[string]uint64) any {
	if len(counts) == 0 {
		return slog.Uint64(name, 0)
	}
	var attrs []any
	for cause, n := range counts {
		attrs = append(attrs, slog.Uint64(cause, n))
	}
	return slog.Group(name, attrs...)
}
