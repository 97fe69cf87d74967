package main

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"

	"lapwing/probes/socket/survey"
)

const (
	formatTable = "table"
	formatJSON  = "json"
)

// guestPlans are the kernels that the guests boot and the plans that each of
// them supports, as in tools/kernels/kernels.mk.
var guestPlans = map[string][]survey.Plan{
	"6.12": {survey.PlanSocket, survey.PlanSyscall},
	"6.1":  {survey.PlanSyscall},
}

// work is what every guest measures.
type work struct {
	states   []state
	modes    []mode
	warmUp   int
	requests int
}

// The full measurement, and the short form that is part of the tests. The short
// form leaves out what needs an additional agent or only changes together with
// the rest.
var (
	wholeWork = work{
		states: []state{stateIdle, stateAll, stateStopped},
		modes:  []mode{"kept:tcp", "each:tcp", "kept:unix", "each:unix", modeDatagrams},
		warmUp: 500, requests: 8000,
	}
	shortWork = work{
		states: []state{stateAll, stateStopped},
		modes:  []mode{"kept:tcp"},
		warmUp: 500, requests: 8000,
	}
)

type options struct {
	work
	kernels  []string
	plans    []survey.Plan
	lapwing  string
	baseline string
	update   bool
	jobs     int
	format   string
	out      string
}

func parseOptions(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("instructions", flag.ExitOnError)
	kernels := flags.String("kernels", "6.12,6.1", "`series` of the kernels to boot")
	plans := flags.String("plans", "socket,syscall", "probe `plans` to measure, where the kernel can carry them")
	short := flags.Bool("short", false, "measure only kept-alive TCP, without the idle filter")
	flags.StringVar(&o.lapwing, "lapwing", "bin/lapwing", "the `program` to measure")
	flags.StringVar(&o.baseline, "baseline", "tools/instructions/baseline.json", "`file` with the figures to compare with")
	flags.BoolVar(&o.update, "update", false, "write what was measured into the baseline")
	flags.IntVar(&o.jobs, "jobs", 2, "`number` of guests at a time")
	flags.StringVar(&o.format, "format", formatTable, "what is printed: `table` or json")
	flags.StringVar(&o.out, "out", "build/instructions.json", "`file` for the JSON report")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q: instructions takes flags only", flags.Arg(0))
	}
	o.work = wholeWork
	if *short {
		o.work = shortWork
	}
	var err error
	if o.plans, err = parsePlans(*plans); err != nil {
		return o, err
	}
	err = errors.Join(o.chooseKernels(*kernels), o.validate())
	return o, err
}

func parsePlans(list string) ([]survey.Plan, error) {
	var plans []survey.Plan
	for name := range strings.SplitSeq(list, ",") {
		plan, err := survey.ParsePlan(name)
		if err != nil {
			return nil, fmt.Errorf("-plans: %w", err)
		}
		plans = append(plans, plan)
	}
	return plans, nil
}

// chooseKernels leaves out the kernels that support none of the plans.
func (o *options) chooseKernels(list string) error {
	for kernel := range strings.SplitSeq(list, ",") {
		if _, known := guestPlans[kernel]; !known {
			return fmt.Errorf("-kernels: there is no guest of series %q", kernel)
		}
		if len(o.plansOn(kernel)) > 0 {
			o.kernels = append(o.kernels, kernel)
		}
	}
	if len(o.kernels) == 0 {
		return fmt.Errorf("no kernel of -kernels %s carries a plan of -plans", list)
	}
	return nil
}

func (o options) validate() error {
	switch {
	case o.jobs < 1:
		return errors.New("-jobs must be at least 1")
	case o.format != formatTable && o.format != formatJSON:
		return fmt.Errorf("unknown -format %q: use %s or %s", o.format, formatTable, formatJSON)
	}
	return nil
}

// plansOn returns the plans to measure on a kernel.
func (o options) plansOn(kernel string) []survey.Plan {
	return slices.DeleteFunc(slices.Clone(guestPlans[kernel]), func(p survey.Plan) bool {
		return !slices.Contains(o.plans, p)
	})
}

// keys returns the keys of all figures for a kernel.
func (o options) keys(kernel string) []key {
	var keys []key
	for _, m := range o.modes {
		keys = append(keys, key{Kernel: kernel, State: stateNone, Mode: m})
	}
	for _, plan := range o.plansOn(kernel) {
		for _, s := range o.states {
			for _, m := range o.modes {
				keys = append(keys, key{Kernel: kernel, Plan: plan, State: s, Mode: m})
			}
		}
	}
	return keys
}
