package main

import (
	"context"
	"log/slog"

	"lapwing/agent"
	"lapwing/agent/config"
	"lapwing/collectors/request"
	"lapwing/exporters"
	"lapwing/exporters/console"
	"lapwing/exporters/health"
	"lapwing/probes/socket/survey"
)

// session is what a command asks of the agent beyond the configuration.
type session struct {
	// Exporters get every finished request that the filter selects. The
	// agent shuts them down, once it has drained.
	Exporters []exporters.Exporter
	// Tracers get it when its place in a trace is known.
	Tracers []exporters.Tracer
	// OTLP exports to the configured endpoint as well.
	OTLP bool
	// Prometheus serves metrics at the configured address as well.
	Prometheus bool
	// Pools, when set, makes the agent watch worker pools and gets them,
	// before Attached is called.
	Pools func(console.PoolSource)
	// Reloads, when set, brings configurations that take the place of the
	// one before; Reloaded is told what became of each.
	Reloads  <-chan config.Config
	Reloaded func(next config.Config, applied, later []string, err error)
	// Watch, when set, is run beside the agent with what grows as long as the
	// agent gets on with its work.
	Watch func(ctx context.Context, turns func() uint64)
	Clock *request.Clock
	Log   *slog.Logger
	// Attached is called once, when the probes are in place and before the
	// first request is exported.
	Attached func(plan survey.Plan, account health.Func)
}

// runFunc runs the agent until ctx ends, then drains it and returns. An error
// means that the agent could not do its work.
type runFunc func(ctx context.Context, cfg config.Config, s session) error

// runAgent is the agent.
var runAgent runFunc = func(ctx context.Context, cfg config.Config, s session) error {
	a, err := agent.New(cfg, s.Clock, s.Log)
	if err != nil {
		return err
	}
	for _, e := range s.Exporters {
		a.Add("output", e)
	}
	for _, t := range s.Tracers {
		a.AddTracer("output", t)
	}
	a.OTLP, a.Prometheus = s.OTLP, s.Prometheus
	a.Version = version
	if s.Pools != nil {
		s.Pools(a.WatchPools())
	}
	if err := relaxTimers(); err != nil {
		s.Log.Debug("the agent takes more CPU time than it could", "error", err)
	}
	if s.Reloads != nil {
		go func() {
			for next := range s.Reloads {
				applied, later, err := a.Reload(next)
				s.Reloaded(next, applied, later, err)
			}
		}()
	}
	if s.Watch != nil {
		go s.Watch(ctx, a.Turns)
	}
	a.OnAttached = func(plan survey.PlanSurvey) { s.Attached(plan.Plan, a.Health) }
	return a.Run(ctx)
}
