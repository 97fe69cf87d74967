package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/coreos/go-systemd/v22/daemon"

	"lapwing/agent/config"
)

// reloader reads the configuration again on SIGHUP.
type reloader struct {
	app     *app
	flags   *agentFlags
	log     *slog.Logger
	level   *slog.LevelVar
	asked   chan os.Signal
	reloads chan config.Config
}

// newReloader handles SIGHUP from here on: unhandled, it would end the daemon.
func (a *app) newReloader(f *agentFlags, log *slog.Logger, level *slog.LevelVar) *reloader {
	r := &reloader{app: a, flags: f, log: log, level: level, asked: make(chan os.Signal, 1), reloads: make(chan config.Config)}
	signal.Notify(r.asked, syscall.SIGHUP)
	return r
}

// run serves signals until ctx ends.
func (r *reloader) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.asked:
			r.reload(ctx)
		}
	}
}

// reload reads the configuration. A wrong configuration changes nothing.
func (r *reloader) reload(ctx context.Context) {
	next, err := r.flags.load(r.app.environ)
	if err == nil && nowhere(next, r.flags.file) != "" {
		r.log.Warn("the new configuration exports nothing: what is exported stays until the agent is started again")
	}
	if err != nil {
		r.refuse(err)
		return
	}
	notify(r.log, daemon.SdNotifyReloading)
	select {
	case <-ctx.Done():
	case r.reloads <- next:
	}
}

func (r *reloader) refuse(err error) {
	r.log.Error("the configuration was not reloaded, that of before stays", "error", strings.Join(strings.Fields(err.Error()), " "))
}

// reloaded logs what the agent applied of a configuration.
func (r *reloader) reloaded(next config.Config, applied, later []string, err error) {
	defer notify(r.log, daemon.SdNotifyReady)
	if err != nil {
		r.refuse(err)
		return
	}
	if level, err := config.ParseLevel(next.Log.Level); err == nil {
		defer r.level.Set(level) // the lines below are logged with the old level
	}
	r.log.Info("configuration reloaded", "file", r.flags.file, "applied", keyList(applied))
	if len(later) > 0 {
		r.log.Warn("some keys take effect when the agent is started again", "keys", keyList(later))
	}
}

func keyList(keys []string) string {
	if len(keys) == 0 {
		return "nothing has changed"
	}
	return strings.Join(keys, " ")
}
