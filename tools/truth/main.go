package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:])
	if ctx.Err() != nil {
		err = errors.New("interrupted: only the cells that had run are in the report")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "truth:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	opts, err := parseOptions(args)
	if err != nil {
		return err
	}
	todo, omitted := opts.pick.cells()
	tell(os.Stderr, omitted)
	if len(todo) == 0 {
		return errors.New("nothing is left to run: choose other architectures or scenarios")
	}
	if opts.priority {
		if err := stepBack(); err != nil {
			return err
		}
	}
	cells, err := measure(ctx, opts, todo)
	return errors.Join(err, report(opts, cells))
}

// report saves and prints what was measured, even if it is incomplete.
func report(opts options, cells []cell) error {
	err := save(opts.out, cells)
	if opts.format == formatJSON {
		err = errors.Join(err, writeJSON(os.Stdout, cells))
	} else {
		err = errors.Join(err, writeTable(os.Stdout, cells))
	}
	return errors.Join(err, verdict(cells))
}
