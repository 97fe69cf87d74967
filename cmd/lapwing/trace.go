package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"lapwing/agent/config"
	"lapwing/collectors/request"
	"lapwing/exporters"
	"lapwing/exporters/console"
	"lapwing/exporters/health"
	"lapwing/probes/socket/survey"
)

type traceFlags struct {
	watchFlags
	slow *time.Duration
}

func (a *app) traceCommand() *cobra.Command {
	var f traceFlags
	cmd := &cobra.Command{
		Use:   "trace",
		Short: "Print one line for each finished request",
		Long: "Print one line for each finished request. A bar shows how its time is divided into queue,\n" +
			"parse, app and write-back. The command stops at a limit (--for, --count), SIGINT or SIGTERM,\n" +
			"prints everything that it has seen, and exits with status 0.",
		Example: "  sudo lapwing trace\n" +
			"  sudo lapwing trace --service 'shop*' --slow 200ms\n" +
			"  sudo lapwing trace --port 8080 --for 10s --format json | jq .app_ns\n" +
			"  sudo lapwing trace --count 100 --otlp-endpoint http://127.0.0.1:4318",
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error { return a.trace(&f) },
	}
	f.add(cmd.Flags(), "printed requests")
	f.addOTLP(cmd.Flags())
	f.slow = span(cmd.Flags(), "slow", "only requests that took at least this long")
	return cmd
}

func (a *app) trace(f *traceFlags) error {
	cfg, err := f.load(a.environ)
	if err != nil {
		return err
	}
	if err := a.begin(cfg); err != nil {
		return err
	}
	ctx, end := untilSignal(context.Background(), watchSignals()...)
	defer end()

	clock := request.NewClock()
	t := tracing{app: a, flags: f, clock: clock, cfg: cfg, end: end, started: make(chan struct{})}
	t.lines = &selection{slow: *f.slow, left: *f.count}
	if t.lines.left > 0 {
		t.lines.done = end
	}
	err = a.drive(ctx, cfg, session{
		Tracers:  []exporters.Tracer{t.lines},
		OTLP:     cfg.Export.OTLP.Endpoint != "",
		Clock:    clock,
		Log:      logger(a.err, f.quiet(cfg.Log, a.environ)),
		Attached: t.attached,
	})
	return t.outcome(err)
}

// tracing is a running trace.
type tracing struct {
	app   *app
	flags *traceFlags
	clock *request.Clock

	cfg   config.Config
	end   context.CancelFunc
	lines *selection

	started chan struct{} // closed once the fields below are set
	printer *console.Trace
	health  health.Func
	remark  *time.Timer
}

// attached starts the output. The output starts with a header, so it waits
// until there is something to show.
func (t *tracing) attached(plan survey.Plan, account health.Func) {
	t.app.announce(plan)
	new(notices).look(t.app.filter, t.cfg, t.app.warn)
	s := t.app.screen(t.flags.noColor)
	t.printer = console.NewTrace(t.app.out, console.TraceOptions{
		Format: *t.flags.format,
		Color:  s.color,
		Width:  s.width,
		Clock:  t.clock,
	})
	t.lines.next, t.health = t.printer, account
	startTimer(*t.flags.limit, t.end)
	t.remark = time.AfterFunc(t.app.silence, t.explainSilence)
	// The reader of the output went away, so there is nothing left to do.
	go func() { <-t.printer.Done(); t.end() }()
	close(t.started)
}

// outcome returns the result of the command, given that of the agent.
func (t *tracing) outcome(err error) error {
	select {
	case <-t.started:
		t.remark.Stop()
		t.app.summarize(t.health())
		return errors.Join(err, t.printer.Err())
	default:
		return err // the probes were never attached
	}
}

// explainSilence explains why there may be no line yet: a user cannot see
// whether a server gets no requests or its protocol is not supported.
func (t *tracing) explainSilence() {
	if t.printer.Printed() > 0 {
		return
	}
	fmt.Fprintf(t.app.err, "lapwing: nothing to show after %v: %s\n", t.app.silence, t.whySilent(t.health()))
}

func (t *tracing) whySilent(h health.Health) string {
	filtered := ""
	if !t.cfg.Filter.Empty() {
		filtered = " matching the filter"
	}
	switch n, unknown, missed := h.Total(health.Requests), h.Causes(health.Unknown), h.Causes(health.MissedStart); {
	case n > 0:
		return fmt.Sprintf("%d requests finished, but none took %v or longer (--slow)", n, *t.flags.slow)
	case len(unknown) > 0:
		return "no request" + filtered + " finished, but some connections spoke an unknown protocol: " + causes(unknown) +
			"; with TLS, trace the server behind the proxy that terminates it"
	case len(missed) > 0:
		return "no request" + filtered + " finished, but some were in flight when the agent started: " + causes(missed) + "; lapwing workers shows them"
	}
	return "no request" + filtered + " finished; lapwing workers shows servers that are stuck"
}
