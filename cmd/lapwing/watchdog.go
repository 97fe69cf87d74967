package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// watchdog notifies systemd that the agent is alive, if the unit has
// WatchdogSec=. It only does so while the reader of the probes' records makes
// progress. An agent that runs but no longer sees anything must be restarted.
func watchdog(log *slog.Logger) func(context.Context, func() uint64) {
	return func(ctx context.Context, turns func() uint64) {
		limit, err := daemon.SdWatchdogEnabled(false)
		if err != nil {
			log.Warn("the watchdog of systemd cannot be served", "error", err)
		}
		if limit <= 0 || err != nil {
			return
		}
		pingWhile(ctx, limit/4, turns, func() { notify(log, daemon.SdNotifyWatchdog) })
	}
}

// pingWhile calls ping at every interval in which turns grew, until ctx ends.
func pingWhile(ctx context.Context, interval time.Duration, turns func() uint64, ping func()) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for before := turns(); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if now := turns(); now != before {
			before = now
			ping()
		}
	}
}
