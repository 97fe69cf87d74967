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

// session is what a command requests of the agent beyond the configuration.
type session struct {
	// Exporters get every finished request that the filter selects. The agent
	// shuts them down once it has drained.
	Exporters []exporters.Exporter
	// Tracers get each request once its place in a trace is known.
	Tracers []exporters.Tracer
	// OTLP also exports to the configured endpoint.
	OTLP bool
	// Prometheus also serves metrics at the configured address.
	Prometheus bool
	// Pools, if set, makes the agent watch worker pools. It is called with them
	// before Attached.
	Pools func(console.PoolSource)
	// Reloads, if set, delivers new configurations. Reloaded is called with the
	// result of each.
	Reloads  <-chan config.Config
	Reloaded func(next config.Config, applied, later []string, err error)
	// Watch, if set, runs alongside the agent. turns grows while the agent
	// makes progress.
	Watch func(ctx context.Context, turns func() uint64)
	Clock *request.Clock
	Log   *slog.Logger
	// Attached is called once, when the probes are attached and before the
	// first request is exported.
	Attached func(plan survey.Plan, account health.Func)
}

// runFunc runs the agent until ctx ends, then drains it and returns. An error
// means that the agent could not measure.
type runFunc func(ctx context.Context, cfg config.Config, s session) error

// runAgent runs the agent.
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
