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
		Short: "Debug the agent itself",
		Args:  cobra.ArbitraryArgs, // RunE reports the error
		RunE:  chooses,
	}
	cmd.AddCommand(a.debugRecordsCommand())
	return cmd
}

// recordsFlags are the flags of lapwing debug records.
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
		Short: "Print the raw records that the probes write",
		Long: "Print each record and event of the probes as the kernel wrote it, one per line, with the\n" +
			"fields that are not zero. Stamps are in nanoseconds of the monotonic clock. The captured bytes\n" +
			"of request and response heads can contain secrets. They are printed only with --heads.",
		Example: "  sudo lapwing debug records --port 8080 --for 10s\n  sudo lapwing debug records --format json --heads | jq 'select(.kind==\"call\")'",
		Args:    noArgs,
		RunE:    func(*cobra.Command, []string) error { return a.debugRecords(f) },
	}
	set := cmd.Flags()
	f.format = format(set, "output format: text or json (default text)")
	f.limit = span(set, "for", "stop after this time")
	set.Var(&value[survey.Plan]{v: &f.plan, parse: survey.ParsePlan, kind: "plan"}, "probe-plan", "probe plan to use: auto, socket or syscall")
	set.Var(&list[uint16]{value[uint16]{parse: parsePort, kind: "port"}, &f.ports}, "port", "only connections to this local TCP `port` (repeatable)")
	set.BoolVar(&f.heads, "heads", false, "also print the captured bytes of heads")
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
