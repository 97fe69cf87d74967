package main

import (
	"context"

	"github.com/spf13/cobra"

	"lapwing/exporters/console"
)

func (a *app) workersCommand() *cobra.Command {
	var f topFlags
	cmd := &cobra.Command{
		Use:   "workers",
		Short: "Show the worker pool of each service: who is busy, held or free, and who waits",
		Long: "Show the worker pool of each service, from outside and also when it is full: what each\n" +
			"worker does now, how long already, how busy the pool is, the most workers ever needed at\n" +
			"once, and how many connections wait in the listen backlog. Press ? in it for the keys.\n" +
			"Without a terminal it prints a table every interval, and all since the start at the end.",
		Example: "  sudo lapwing workers\n" +
			"  sudo lapwing workers --service 'shop*' --interval 5s\n" +
			"  sudo lapwing workers --for 2s                      # one look, for a terminal or a ticket\n" +
			"  sudo lapwing workers --for 1m --format json | jq -c '.pools[] | [.service, .scoreboard]'",
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error { return a.workers(&f) },
	}
	f.add(cmd.Flags(), "intervals")
	f.interval = interval(cmd.Flags())
	return cmd
}

func (a *app) workers(f *topFlags) error {
	cfg, err := f.load(a.environ)
	if err != nil {
		return err
	}
	if err := a.begin(cfg); err != nil {
		return err
	}
	ctx, end := untilSignal(context.Background(), watchSignals()...)
	defer end()
	var pools console.PoolSource
	t := a.newTable(f, end)
	t.session.Pools = func(p console.PoolSource) { pools = p }
	t.show = func(o console.TopOptions) error { return console.RunPools(ctx, pools, t.health, o) }
	return t.run(ctx, cfg)
}
