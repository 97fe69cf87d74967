package agent

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"lapwing/exporters/health"
)

// keepUpEvery is the interval at which the wall clock is read again and the
// identities of processes are checked.
const keepUpEvery = 5 * time.Second

// keepUp does the periodic work while the agent runs.
func (a *Agent) keepUp(ctx context.Context) {
	tick := time.NewTicker(keepUpEvery)
	defer tick.Stop()
	logged := time.Now()
	var told refusals
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			a.clock.Sync()
			a.services.Refresh()
			a.tellRefusals(&told)
			if every := a.logInterval(); every > 0 && now.Sub(logged) >= every {
				logged = now
				a.logHealth("running")
			}
		}
	}
}

// Health returns the agent's account of itself. It is safe for concurrent use.
func (a *Agent) Health() health.Health {
	s := health.Sources{
		Assembled: a.assembler.Counts(),
		Joins:     a.stitcher.Counts(),
		Asked:     a.patience.Counts().Plus(a.asks.Counts()),
		Calls:     a.helper.Load().Refused(),
		Dropped:   map[string]map[string]uint64{},
	}
	for _, p := range a.probes {
		p.health(&s)
	}
	for _, d := range a.destinations() {
		if drops, ok := d.to.(interface{ Dropped() map[string]uint64 }); ok {
			s.Dropped[d.name] = drops.Dropped()
		}
	}
	if p := a.pusher.Load(); p != nil {
		s.Dropped["otlp_metrics"] = p.Dropped()
	}
	return health.Read(&s)
}

// logHealth logs the account: single numbers first, then those by cause.
func (a *Agent) logHealth(message string) {
	h := a.Health()
	var numbers, groups []any
	for _, c := range health.Table {
		switch {
		case len(c.By) == 0:
			numbers = append(numbers, c.Key, h.Total(c))
		case c.Apart:
			scopes := h.Scopes(c)
			for _, scope := range slices.Sorted(maps.Keys(scopes)) {
				groups = append(groups, countGroup(c.Key+"_"+scope, scopes[scope]))
			}
		default:
			groups = append(groups, countGroup(c.Key, h.Causes(c)))
		}
	}
	a.log.Info(message, append(numbers, groups...)...)
}

// countGroup returns a group of counts, or a plain zero: an empty group would
// not be shown at all.
func countGroup(name string, counts map[string]uint64) any {
	if len(counts) == 0 {
		return slog.Uint64(name, 0)
	}
	var attrs []any
	for _, cause := range slices.Sorted(maps.Keys(counts)) {
		attrs = append(attrs, slog.Uint64(cause, counts[cause]))
	}
	return slog.Group(name, attrs...)
}
