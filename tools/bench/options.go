package main

import (
	"errors"
	"flag"
	"fmt"
	"strings"
	"time"

	"lapwing/probes/socket/survey"
)

const (
	formatTable = "table"
	formatJSON  = "json"
)

// defaultAgent is the command line of the agent; {port} and {plan} are
// replaced.
const defaultAgent = "bin/lapwing top --format json --port {port} --probe-plan {plan}"

type options struct {
	pairs       int
	length      time.Duration // of one run
	plans       []survey.Plan // if empty, only the noise floor is measured
	format      string
	agent       []string
	rate        int // requests/s in the runs at a fixed rate
	connections int
	wrkThreads  int
	nginx, wrk  string
	out         string
	strict      bool
}

func parseOptions(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ExitOnError)
	flags.IntVar(&o.pairs, "pairs", 9, "`number` of pairs of runs, one with and one without the agent")
	seconds := flags.Int("seconds", 2, "length of one run in `seconds`")
	plans := flags.String("plans", "socket,syscall", "probe `plans` to measure; none measures the noise floor only")
	flags.StringVar(&o.format, "format", formatTable, "what is printed: `table` or json")
	agent := flags.String("agent-cmd", defaultAgent, "`command` that runs the agent, words split at spaces")
	flags.IntVar(&o.rate, "rate", 20_000, "`requests` per second of the runs at a fixed rate")
	flags.IntVar(&o.connections, "connections", 16, "`number` of kept-alive connections")
	flags.IntVar(&o.wrkThreads, "wrk-threads", 1, "`number` of threads of wrk")
	flags.StringVar(&o.nginx, "nginx", "nginx", "nginx `program`")
	flags.StringVar(&o.wrk, "wrk", "wrk", "wrk `program`")
	flags.StringVar(&o.out, "out", "build/bench.json", "`file` for the JSON report")
	flags.BoolVar(&o.strict, "strict", false, "exit with status 1 if a target is not met")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q: bench takes flags only", flags.Arg(0))
	}
	o.length = time.Duration(*seconds) * time.Second
	o.agent = strings.Fields(*agent)
	var err error
	if o.plans, err = parsePlans(*plans); err != nil {
		return o, err
	}
	return o, o.validate()
}

func parsePlans(list string) ([]survey.Plan, error) {
	if list == "none" {
		return nil, nil
	}
	var plans []survey.Plan
	for name := range strings.SplitSeq(list, ",") {
		plan, err := survey.ParsePlan(strings.TrimSpace(name))
		if err != nil {
			return nil, fmt.Errorf("-plans: %w", err)
		}
		plans = append(plans, plan)
	}
	return plans, nil
}

func (o options) validate() error {
	switch {
	case o.pairs < 1:
		return errors.New("-pairs must be at least 1")
	case o.length < time.Second:
		return errors.New("-seconds must be at least 1")
	case o.rate < 1:
		return errors.New("-rate must be at least 1 request per second")
	case o.connections < 1 || o.wrkThreads < 1 || o.wrkThreads > o.connections:
		return errors.New("-connections and -wrk-threads must be at least 1, with a connection for every thread")
	case o.format != formatTable && o.format != formatJSON:
		return fmt.Errorf("unknown -format %q: use %s or %s", o.format, formatTable, formatJSON)
	case len(o.agent) == 0:
		return errors.New("-agent-cmd is empty: give the command that runs the agent")
	}
	return nil
}
