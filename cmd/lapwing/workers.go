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
		Short: "Show the worker pool of each service: busy, held and free workers, and what waits",
		Long: "Show the worker pool of each service: what each worker does now and for how long, how busy\n" +
			"the pool is, the most workers that were busy at once, and how many connections wait in the\n" +
			"listen backlog. The server is not asked, so this works when the pool is full. Press ? for the\n" +
			"keys. Without a terminal, the command prints a table every interval, and the totals at the end.",
		Example: "  sudo lapwing workers\n" +
			"  sudo lapwing workers --service 'shop*' --interval 5s\n" +
			"  sudo lapwing workers --for 2s                      # one snapshot\n" +
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
