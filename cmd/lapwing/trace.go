package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"lapwing/collectors/request"
	"lapwing/exporters"
	"lapwing/exporters/console"
	"lapwing/probes/socket"
)

type traceFlags struct {
	watchFlags
	slow *time.Duration
}

func (a *app) traceCommand() *cobra.Command {
	var f traceFlags
	cmd := &cobra.Command{
		Use:   "trace",
		Short: "Print a line for each finished request",
		Long: "Print a line for each finished request, with a bar that shows how its time divides into\n" +
			"queue, parse, app and write-back. Ends with status 0 on a limit, SIGINT or SIGTERM, when\n" +
			"everything that was seen has been printed.",
		Example: "  sudo lapwing trace\n" +
			"  sudo lapwing trace --service 'shop*' --slow 200ms\n" +
			"  sudo lapwing trace --port 8080 --for 10s --format json | jq .app_ns\n" +
			"  sudo lapwing trace --count 100 --otlp-endpoint http://127.0.0.1:4318",
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error { return a.trace(&f) },
	}
	f.add(cmd.Flags(), "requests were printed")
	f.addOTLP(cmd.Flags())
	f.slow = span(cmd.Flags(), "slow", "only requests that took at least this long")
	return cmd
}

func (a *app) trace(f *traceFlags) error {
	cfg, err := f.load(a.environ)
	if err != nil {
		return err
	}
	if err := a.prepare(); err != nil {
		return err
	}
	ctx, end := untilSignal(context.Background())
	defer end()

	clock := request.NewClock()
	t := tracing{app: a, flags: f, clock: clock, end: end, started: make(chan struct{})}
	t.lines = &selection{slow: *f.slow, left: *f.count}
	if t.lines.left > 0 {
		t.lines.done = end
	}
	err = a.drive(ctx, cfg, session{
		Exporters: []exporters.Exporter{t.lines},
		OTLP:      cfg.Export.OTLP.Endpoint != "",
		Clock:     clock,
		Log:       logger(a.err, f.quiet(cfg.Log, a.environ)),
		Attached:  t.attached,
	})
	return t.outcome(err)
}

// tracing is a trace while it runs.
type tracing struct {
	app   *app
	flags *traceFlags
	clock *request.Clock
	end   context.CancelFunc
	lines *selection

	started chan struct{} // closed once the fields below are set
	printer *console.Trace
	health  exporters.HealthFunc
}

// attached starts the output. It begins with a header, so it waits until there
// is something to head.
func (t *tracing) attached(plan socket.Plan, health exporters.HealthFunc) {
	t.app.announce(plan)
	s := t.app.screen(t.flags.noColor)
	t.printer = console.NewTrace(t.app.out, console.TraceOptions{
		Format: *t.flags.format,
		Color:  s.color,
		Width:  s.width,
		Clock:  t.clock,
		IDs:    request.AssignIDs,
	})
	t.lines.next, t.health = t.printer, health
	startTimer(*t.flags.limit, t.end)
	// Nobody reads any more: there is nothing left to do.
	go func() { <-t.printer.Done(); t.end() }()
	close(t.started)
}

// outcome is how the command ends, given how the agent did.
func (t *tracing) outcome(err error) error {
	select {
	case <-t.started:
		t.app.summarize(t.health())
		return errors.Join(err, t.printer.Err())
	default:
		return err // the probes were never attached
	}
}
