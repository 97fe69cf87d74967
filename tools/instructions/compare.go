package main

import (
	"errors"
	"fmt"
	"io"
)

// tolerance is the percentage by which a figure may grow without a failure, and
// by which it must shrink to be worth a new baseline.
const tolerance = 3

// noise is the percentage by which a figure without an agent may differ between
// runs.
const noise = 1

// change is a figure compared with the baseline.
type change struct {
	key
	now int
	// before is the expected value according to the baseline. It is 0 if the
	// baseline does not have the figure.
	before int
}

// growth returns the percentage by which the figure grew.
func (c change) growth() float64 { return 100*float64(c.now)/float64(c.before) - 100 }

func (c change) known() bool  { return c.before > 0 }
func (c change) grown() bool  { return c.known() && 100*c.now > (100+tolerance)*c.before }
func (c change) shrunk() bool { return c.known() && 100*c.now < (100-tolerance)*c.before }

// server reports whether the figure is one without an agent.
func (c change) server() bool { return c.State == stateNone }

func (c change) String() string {
	return fmt.Sprintf("%s: %d instructions per request, %+.1f %% against the baseline's %d", c.key, c.now, c.growth(), c.before)
}

// compare compares the figures of a report with a baseline. On another machine,
// or with a newer nginx or kernel, the cost of the server and the kernel
// without an agent can differ from the baseline. If this difference is more
// than noise, it is added to the expected figures with an agent.
func compare(baseline, now report) []change {
	changes := make([]change, 0, len(now.Figures))
	for _, f := range now.Figures {
		changes = append(changes, change{key: f.key, now: f.Instructions, before: expected(baseline, now, f.key)})
	}
	return changes
}

func expected(baseline, now report, k key) int {
	before, ok := baseline.get(k)
	if !ok {
		return 0
	}
	if k.State == stateNone {
		return before.Instructions
	}
	server := key{Kernel: k.Kernel, State: stateNone, Mode: k.Mode}
	serverBefore, okBefore := baseline.get(server)
	serverNow, okNow := now.get(server)
	if !okBefore || !okNow {
		return 0
	}
	moved := serverNow.Instructions - serverBefore.Instructions
	if 100*max(moved, -moved) <= noise*serverBefore.Instructions {
		moved = 0
	}
	return before.Instructions + moved
}

// verdict reports what changed, and fails if the agent costs more.
func verdict(w io.Writer, changes []change, path string) error {
	var errs []error
	dearer := false
	for _, c := range changes {
		switch {
		case !c.known():
			errs = append(errs, fmt.Errorf("%s: %s does not know this figure: run make bench-instructions-baseline", c.key, path))
		case c.server() && (c.grown() || c.shrunk()):
			fmt.Fprintf(w, "instructions: %s. Nginx or the kernel is another one: compared is what the agent adds.\n", c)
		case c.grown():
			dearer = true
			errs = append(errs, errors.New(c.String()))
		case c.shrunk():
			fmt.Fprintf(w, "instructions: %s. The baseline can be lowered: make bench-instructions-baseline\n", c)
		}
	}
	if dearer {
		errs = append(errs, fmt.Errorf("the agent costs more than %s allows: make it cheaper, or decide that it is worth it and commit what make bench-instructions-baseline writes", path))
	}
	return errors.Join(errs...)
}
