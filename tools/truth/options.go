package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lapwing/probes/socket/survey"
)

const (
	formatTable = "table"
	formatJSON  = "json"
)

type options struct {
	pick               selection
	lapwing, refserver string // the programs
	workers            int
	requests           int // at least, per cell
	tries              int // for a cell whose times are off
	priority           bool
	markers            string // as an option of the agent
	format             string
	out                string
}

// selection is the part of each dimension to run.
type selection struct {
	archs, scenarios, loads []string
	plans                   []survey.Plan
}

func parseOptions(args []string) (options, error) {
	self, err := os.Executable()
	if err != nil {
		return options{}, fmt.Errorf("find the folder of the programs: %w", err)
	}
	var o options
	flags := flag.NewFlagSet("truth", flag.ExitOnError)
	arch := flags.String("arch", all, "`architectures`, with commas: "+strings.Join(architectureNames(), ", "))
	scenario := flags.String("scenario", all, "`scenarios`, with commas: "+strings.Join(scenarioNames(), ", "))
	load := flags.String("load", all, "`loads`, with commas: "+strings.Join(loadNames(), ", "))
	plan := flags.String("plan", all, "probe `plans`, with commas: socket, syscall")
	bin := flags.String("bin", filepath.Dir(self), "`folder` that holds lapwing and refserver")
	flags.IntVar(&o.workers, "workers", 2, "`workers` of a server that has several")
	flags.IntVar(&o.requests, "requests", 100, "`requests` of a cell, at least")
	flags.IntVar(&o.tries, "tries", 3, "how many `times` a cell runs at most, until its times are within the bounds")
	flags.BoolVar(&o.priority, "priority", true, "give the measured server a nice value of -20, so that little puts off its stamps")
	flags.StringVar(&o.markers, "markers", "auto", "the agent's --markers: `auto` or off")
	flags.StringVar(&o.format, "format", formatTable, "what is printed: `table` or json")
	flags.StringVar(&o.out, "out", "build/truth.json", "`file` for the JSON report")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q: truth takes flags only", flags.Arg(0))
	}
	o.lapwing, o.refserver = filepath.Join(*bin, "lapwing"), filepath.Join(*bin, "refserver")
	err = errors.Join(
		choose(&o.pick.archs, "-arch", *arch, architectureNames()),
		choose(&o.pick.scenarios, "-scenario", *scenario, scenarioNames()),
		choose(&o.pick.loads, "-load", *load, loadNames()),
		choosePlans(&o.pick.plans, *plan),
		o.validate(),
	)
	return o, err
}

const all = "all"

// choose parses a list of names, all of which must be known. The names keep the
// order of known.
func choose(to *[]string, option, list string, known []string) error {
	if list == all || list == "" {
		*to = known
		return nil
	}
	asked := strings.Split(list, ",")
	for _, name := range asked {
		if !slices.Contains(known, name) {
			return fmt.Errorf("%s: there is no %q: choose from %s", option, name, strings.Join(known, ", "))
		}
	}
	*to = slices.DeleteFunc(known, func(name string) bool { return !slices.Contains(asked, name) })
	return nil
}

func choosePlans(to *[]survey.Plan, list string) error {
	var names []string
	err := choose(&names, "-plan", list, []string{string(survey.PlanSocket), string(survey.PlanSyscall)})
	for _, name := range names {
		*to = append(*to, survey.Plan(name))
	}
	return err
}

func (o options) validate() error {
	switch {
	case o.workers < 1 || o.workers > 64:
		return errors.New("-workers must be from 1 to 64")
	case o.requests < 1:
		return errors.New("-requests must be at least 1")
	case o.tries < 1:
		return errors.New("-tries must be at least 1")
	case o.markers != "auto" && o.markers != "off":
		return fmt.Errorf("unknown -markers %q: use auto or off", o.markers)
	case o.format != formatTable && o.format != formatJSON:
		return fmt.Errorf("unknown -format %q: use %s or %s", o.format, formatTable, formatJSON)
	}
	return nil
}
