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
		err = errors.New("interrupted")
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
	cells, err := measure(ctx, opts, todo)
	if err != nil {
		return err
	}
	if err := save(opts.out, cells); err != nil {
		return err
	}
	if opts.format == formatJSON {
		err = writeJSON(os.Stdout, cells)
	} else {
		err = writeTable(os.Stdout, cells)
	}
	return errors.Join(err, verdict(cells))
}
