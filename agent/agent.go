package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"lapwing/agent/config"
	"lapwing/agent/privilege"
	"lapwing/agent/privilege/sandbox"
	"lapwing/collectors/assemble"
	"lapwing/collectors/patience"
	"lapwing/collectors/request"
	"lapwing/collectors/route"
	"lapwing/collectors/service"
	"lapwing/collectors/stitch"
	"lapwing/exporters"
	"lapwing/exporters/metrics"
	"lapwing/exporters/otlp"
	"lapwing/probes/socket/survey"
)

// drainTime is the longest time in which the exporters deliver what is queued
// when the agent ends.
const drainTime = 4 * time.Second

// Agent is one run of the agent. New creates it, Add adds exporters, and Run
// starts it.
type Agent struct {
	cfg   config.Config
	log   *slog.Logger
	clock *request.Clock

	patience  *patience.Pool // asks processes for their identity
	asks      *patience.Pool // asks them for their usage, whose readers wait; names have no such readers
	services  *service.Resolver
	routes    atomic.Pointer[route.Table]
	logEvery  atomic.Int64  // nanoseconds
	reloaded  config.Config // the values in force
	assembler *assemble.Assembler
	stitcher  *stitch.Stitcher
	exporters []named[exporters.Exporter]
	tracers   []named[exporters.Tracer]
	closers   []func(context.Context) error
	metrics   *metrics.Aggregator // nil if no exporter needs metrics
	pusher    atomic.Pointer[otlp.Metrics]
	turns     atomic.Uint64

	probes   []probe
	requests *requests
	markers  *markers
	pools    *pools

	identity *privilege.Identity            // the user that root becomes; nil: no change of user
	helper   atomic.Pointer[sandbox.Helper] // nil: there is no helper

	// OTLP exports to the configured OTLP endpoint, if one is set.
	OTLP bool
	// Prometheus serves metrics at the configured address, if one is set.
	Prometheus bool
	// Version is the agent's own version, which is sent to receivers.
	Version string
	// OnAttached, if set, is called once the probes are attached. From then on
	// no request is missed.
	OnAttached func(survey.PlanSurvey)
}

// named is a destination with the name under which its losses are counted.
type named[D ending] struct {
	name string
	to   D
}

// ending is the interface that all destinations have in common.
type ending interface{ Shutdown(context.Context) error }

// New prepares an agent. Run loads the probes. The clock turns stamps into wall
// time; the agent keeps it in step.
func New(cfg config.Config, clock *request.Clock, log *slog.Logger) (*Agent, error) {
	routes, err := route.New(cfg.Routes)
	if err != nil {
		return nil, err
	}
	a := &Agent{cfg: cfg, reloaded: cfg, log: log, clock: clock, patience: patience.New(patience.Options{Log: log}), asks: patience.New(patience.Options{Log: log})}
	a.requests, a.markers, a.pools = &requests{Agent: a}, &markers{Agent: a}, &pools{Agent: a}
	a.probes = a.list()
	a.routes.Store(routes)
	a.logEvery.Store(int64(cfg.Health.LogInterval))
	a.services, err = service.New(service.Options{Rules: cfg.Services, Parent: a.requests.parent, Pool: a.patience})
	if err != nil {
		return nil, fmt.Errorf("name services: %w", err)
	}
	if a.identity, err = privilege.FindIdentity(cfg.User); err != nil {
		return nil, fmt.Errorf("user: %w", err)
	}
	var filter *service.Filter
	if !cfg.Filter.Empty() {
		filter = &cfg.Filter
	}
	a.stitcher = stitch.New(stitch.Options{Export: a.trace})
	a.assembler = assemble.New(assemble.Options{
		Services: a.services, Filter: filter,
		Route:  func(service string, path []byte) string { return a.routes.Load().Match(service, path) },
		Export: a.export, Call: a.stitcher.Call, Hide: a.stitcher.Hide,
	})
	return a, nil
}

// Add adds a destination. It must be called before Run.
func (a *Agent) Add(name string, e exporters.Exporter) {
	a.exporters = append(a.exporters, named[exporters.Exporter]{name, e})
}

// AddTracer adds a destination that gets a request once its place in a trace is
// known. It must be called before Run.
func (a *Agent) AddTracer(name string, t exporters.Tracer) {
	a.tracers = append(a.tracers, named[exporters.Tracer]{name, t})
}

// destinations returns all destinations.
func (a *Agent) destinations() []named[ending] {
	all := make([]named[ending], 0, len(a.exporters)+len(a.tracers))
	for _, e := range a.exporters {
		all = append(all, named[ending]{e.name, e.to})
	}
	for _, t := range a.tracers {
		all = append(all, named[ending]{t.name, t.to})
	}
	return all
}

// export is the one place from which a request goes to all exporters. Metrics
// do not wait for its place in a trace. It runs on the goroutine that reads the
// kernel's records, and so do all exporters. There, no exporter makes a system
// call except to read a clock, waits, or holds a lock that is held elsewhere
// while waiting.
func (a *Agent) export(r *request.Request) {
	a.markers.served(r.PID)
	for _, e := range a.exporters {
		e.to.Export(r)
	}
	a.stitcher.Request(r)
}

// trace handles a request whose place in a trace is known. If it became a
// trace, it serves as an exemplar.
func (a *Agent) trace(r *request.Request) {
	if len(a.tracers) == 0 {
		return
	}
	request.AssignIDs(r)
	kept := false
	for _, t := range a.tracers {
		kept = t.to.Trace(r) || kept
	}
	if kept && a.metrics != nil {
		a.metrics.Remember(r)
	}
}

// stages are the stages that the reader of the probes' records drives.
type stages struct {
	*assemble.Assembler
	stitcher *stitch.Stitcher
	turns    *atomic.Uint64
}

// Turns returns a number that grows about ten times a second while the reader
// of the probes' records makes progress.
func (a *Agent) Turns() uint64 { return a.turns.Load() }

// Tick implements socket.Handler.
func (s stages) Tick(now time.Time) {
	s.turns.Add(1)
	s.Assembler.Tick(now)
	s.stitcher.Tick(request.Now())
}

// Run measures until ctx ends, then delivers what is queued and returns. An
// error means that nothing could be measured.
func (a *Agent) Run(ctx context.Context) error {
	if err := a.openExporters(); err != nil {
		return privilege.Explain(err)
	}
	if err := a.attach(); err != nil {
		a.shutdown()
		return privilege.ExplainLoad(err)
	}
	if err := a.lockIn(); err != nil {
		a.shutdown()
		return errors.Join(err, closeAll(a.probes))
	}
	defer func() { _ = a.helper.Load().Close() }()
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	go a.keepUp(background)

	err := a.runAll(ctx)
	stop()
	a.assembler.Flush()
	a.stitcher.Flush()
	a.pools.end()
	a.shutdown()
	a.logHealth("stopped")
	return errors.Join(err, closeAll(a.probes))
}

// attach checks the agent's privileges, attaches the probes, and drops the
// privileges that only attaching needs.
func (a *Agent) attach() error {
	if err := privilege.Prepare(); err != nil {
		return err
	}
	a.settleIdentity()
	if err := a.attachAll(); err != nil {
		return err
	}
	if err := a.drop(); err != nil {
		return errors.Join(err, closeAll(a.probes))
	}
	for _, p := range a.probes {
		p.look()
	}
	if a.OnAttached != nil {
		a.OnAttached(a.requests.socket.Plan())
	}
	return nil
}

// shutdown delivers what the exporters hold. What could not be delivered is
// logged, and counted by the exporter. It is not an error of Run, because the
// measurements were made.
func (a *Agent) shutdown() {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	for _, d := range a.destinations() {
		if err := d.to.Shutdown(ctx); err != nil {
			a.log.Warn("exporter ended with a loss", "exporter", d.name, "error", err)
		}
	}
	for _, end := range a.closers {
		if err := end(ctx); err != nil {
			a.log.Warn("the last metrics were not delivered", "error", err)
		}
	}
}
