package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"lapwing/tools/child"
)

const (
	startPatience = 30 * time.Second // including loading the probes
	stopPatience  = 10 * time.Second
	shownLines    = 24 // requests that are shown individually
	route         = "/sleep?ms=50"
)

type options struct {
	bin     string // folder of lapwing and refserver
	workers int
	clients int
	length  time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	opts, err := parseOptions(os.Args[1:])
	if err == nil {
		err = run(ctx, opts, os.Stdout)
	}
	if ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func parseOptions(args []string) (options, error) {
	self, err := os.Executable()
	if err != nil {
		return options{}, fmt.Errorf("find the folder of the programs: %w", err)
	}
	var o options
	flags := flag.NewFlagSet("demo", flag.ExitOnError)
	flags.StringVar(&o.bin, "bin", filepath.Dir(self), "`folder` that holds lapwing and refserver")
	flags.IntVar(&o.workers, "workers", 4, "worker `processes` of the server")
	flags.IntVar(&o.clients, "clients", 12, "`number` of clients, each with one request at a time")
	flags.DurationVar(&o.length, "for", 10*time.Second, "`time` for which the clients go on")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.workers < 1 || o.clients < 1 || o.length <= 0 {
		return o, errors.New("-workers, -clients and -for must be above zero")
	}
	return o, nil
}

// run runs the whole demo. Its children have always ended when it returns.
func run(ctx context.Context, opts options, out io.Writer) error {
	var s stage
	err := s.play(ctx, opts, out)
	return errors.Join(err, s.clear(err != nil))
}

// stage holds the running programs, in the order in which they were started.
type stage struct{ cast []*child.Child }

func (s *stage) start(ctx context.Context, opts child.Options) (*child.Child, string, error) {
	c, err := child.Start(opts)
	if err != nil {
		return nil, "", fmt.Errorf("%w: run make build", err)
	}
	s.cast = append(s.cast, c)
	line, err := c.AwaitReady(ctx, startPatience)
	return c, line, err
}

// clear stops what still runs, the last one started first. If failed, it
// ignores how the programs ended.
func (s *stage) clear(failed bool) error {
	var errs []error
	for i := len(s.cast) - 1; i >= 0; i-- {
		errs = append(errs, s.cast[i].Stop(stopPatience))
	}
	if failed {
		return nil
	}
	return errors.Join(errs...)
}
