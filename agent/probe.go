package agent

import (
	"context"
	"errors"
	"slices"

	"kernel.org/pub/linux/libs/security/libcap/cap"

	"lapwing/exporters/health"
)

// probe is one way in which the agent looks at the host. The agent attaches the
// probes of its list in order and gives up the privileges that none of them
// keeps. It runs all of them until it is told to end, and closes them, the last
// one first.
type probe interface {
	// attach attaches the probe. It runs with all privileges with which the
	// agent was started. It asks no process for anything: giving up privileges
	// waits for all threads, and a process can hold one of them for ever.
	attach() error
	// keeps lists the capabilities that the probe needs after attach.
	keeps() []cap.Value
	// look takes a first look at the processes that run. It runs after the
	// privileges were given up.
	look()
	// run looks at the host until ctx ends.
	run(ctx context.Context) error
	// health adds what the probe counts. It is safe for concurrent use, also
	// before attach and after close.
	health(*health.Sources)
	// close releases what attach took. It is called after run, or instead of it.
	close() error
}

// list returns the list of probes. A new probe is a new entry here.
func (a *Agent) list() []probe {
	return []probe{a.requests, a.markers, a.pools}
}

// attachAll attaches the probes. If one fails, the probes before it are closed.
func (a *Agent) attachAll() error {
	for i, p := range a.probes {
		if err := p.attach(); err != nil {
			return errors.Join(err, closeAll(a.probes[:i]))
		}
	}
	return nil
}

// keeps lists the capabilities that any of the probes keeps, each once.
func (a *Agent) keeps() (all []cap.Value) {
	for _, p := range a.probes {
		all = append(all, p.keeps()...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// runAll runs the probes until ctx ends or one of them fails. It returns once
// all have returned.
func (a *Agent) runAll(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error)
	for _, p := range a.probes {
		go func() { ended <- p.run(ctx) }()
	}
	var errs []error
	for range a.probes {
		err := <-ended
		if err != nil {
			stop()
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func closeAll(probes []probe) error {
	var errs []error
	for _, p := range slices.Backward(probes) {
		errs = append(errs, p.close())
	}
	return errors.Join(errs...)
}
