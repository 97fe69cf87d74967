package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"lapwing/agent/privilege"
	"lapwing/exporters/console"
	"lapwing/exporters/debug"
	"lapwing/probes/socket"
	"lapwing/probes/socket/survey"
)

func (a *app) debugCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "debug",
		Short: "Look for faults in the agent itself",
		Args:  cobra.ArbitraryArgs, // RunE words the error
		RunE:  chooses,
	}
	cmd.AddCommand(a.debugRecordsCommand())
	return cmd
}

// recordsFlags are those of lapwing debug records.
type recordsFlags struct {
	format *string
	limit  *time.Duration
	plan   survey.Plan
	ports  []uint16
	heads  bool
}

func (a *app) debugRecordsCommand() *cobra.Command {
	var f recordsFlags
	cmd := &cobra.Command{
		Use:   "records",
		Short: "Print what the probes write, before anything is made of it",
		Long: "Print each record and event of the probes as the kernel wrote it, a line each, with the\n" +
			"fields that are not zero. Stamps are nanoseconds of the monotonic clock. What was captured of\n" +
			"heads can hold secrets, and is printed with --heads only.",
		Example: "  sudo lapwing debug records --port 8080 --for 10s\n  sudo lapwing debug records --format json --heads | jq 'select(.kind==\"call\")'",
		Args:    noArgs,
		RunE:    func(*cobra.Command, []string) error { return a.debugRecords(f) },
	}
	set := cmd.Flags()
	f.format = format(set, "how to print: text or json (default text)")
	f.limit = span(set, "for", "end after this time")
	set.Var(&value[survey.Plan]{v: &f.plan, parse: survey.ParsePlan, kind: "plan"}, "probe-plan", "kernel hooks to use: auto, socket or syscall")
	set.Var(&list[uint16]{value[uint16]{parse: parsePort, kind: "port"}, &f.ports}, "port", "only connections to this local TCP `port` (repeatable)")
	set.BoolVar(&f.heads, "heads", false, "print what was captured of heads as well")
	return cmd
}

func (a *app) debugRecords(f recordsFlags) error {
	if err := a.prepare(); err != nil {
		return err
	}
	probe, err := socket.Open(socket.Options{Plan: f.plan, Ports: f.ports})
	if err != nil {
		return privilege.ExplainLoad(err)
	}
	ctx, end := untilSignal(context.Background(), watchSignals()...)
	defer end()
	a.announce(probe.Plan().Plan)
	startTimer(*f.limit, end)
	printer := debug.New(a.out, debug.Options{JSON: *f.format == console.FormatJSON, Heads: f.heads})
	err = probe.Run(ctx, printer)
	printer.Tick(time.Now())
	err = errors.Join(err, printer.Err(), probe.Close())
	if err == nil {
		_, err = fmt.Fprintf(a.err, "lapwing: %d records\n", printer.Printed())
	}
	return err
}
