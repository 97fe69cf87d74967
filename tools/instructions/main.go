package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout)
	if ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "instructions:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	opts, err := parseOptions(args)
	if err != nil {
		return err
	}
	before, err := loadBaseline(opts)
	if err != nil {
		return err
	}
	now, err := measure(ctx, opts)
	if err != nil {
		// Print the figures of the other guests, which may be needed.
		return errors.Join(writeTable(os.Stderr, now, compare(before, now)), err)
	}
	if err := now.save(opts.out); err != nil {
		return err
	}
	if opts.update {
		if err := before.with(now).save(opts.baseline); err != nil {
			return err
		}
		before = now
	}
	changes := compare(before, now)
	if opts.format == formatJSON {
		err = now.write(out)
	} else {
		err = writeTable(out, now, changes)
	}
	return errors.Join(err, verdict(os.Stderr, changes, opts.baseline))
}

// loadBaseline reads the baseline. It is empty if it will be written for the
// first time.
func loadBaseline(opts options) (report, error) {
	before, err := load(opts.baseline)
	if opts.update && errors.Is(err, os.ErrNotExist) {
		return report{}, nil
	}
	return before, err
}
