package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// cell is the result of one combination.
type cell struct {
	Arch     string `json:"arch"`
	Scenario string `json:"scenario"`
	Load     string `json:"load"`
	Plan     string `json:"plan"`

	Workers int `json:"workers"`
	Clients int `json:"clients"`   // clients that come at the same moment
	Peak    int `json:"in_flight"` // the highest number of requests in flight at the same time

	Sent          int `json:"sent"`
	Seen          int `json:"seen"`
	Missing       int `json:"missing"`
	Doubled       int `json:"doubled"`
	Misattributed int `json:"misattributed"`
	Contradicted  int `json:"contradicted"` // requests with an impossible phase
	Invented      int `json:"invented"`     // records of requests that no client sent
	Untold        int `json:"untold"`       // requests without a line of truth
	Stamped       int `json:"stamped"`      // requests whose departure the kernel stamped

	Phases   map[string]accuracy `json:"phases"`
	Parts    map[string]accuracy `json:"parts"`
	Boundary map[string]int      `json:"boundary"` // requests by the boundary between parse and app
	Hidden   spread              `json:"hidden"`   // see docs/truth.md: the wait between read and application

	Tries  int      `json:"tries"`
	Steal  float64  `json:"steal_ms"`  // CPU time that the hypervisor took meanwhile
	Waited float64  `json:"waited_ms"` // time for which threads of the servers were runnable without a CPU
	Pushed int      `json:"preempted"` // how often one of them was preempted
	Errors []string `json:"errors,omitempty"`
	Within bool     `json:"within_bounds"`
}

var phaseOrder = []string{"queue", "parse", "app", "write_back"}

// exact reports whether every request was seen once, with the right worker and
// with possible phases.
func (c cell) exact() bool {
	return c.Sent > 0 && c.Seen == c.Sent && len(c.Errors) == 0 &&
		c.Missing == 0 && c.Doubled == 0 && c.Misattributed == 0 && c.Contradicted == 0 && c.Invented == 0 && c.Untold == 0
}

// lateOnly reports whether only a p99 of the cell is out of bounds.
func (c cell) lateOnly() bool {
	return c.exact() && !c.Within &&
		!slices.ContainsFunc(append(c.accuracies(), c.parts()...), func(a accuracy) bool { return !a.Within && !a.late })
}

func (c cell) accuracies() (list []accuracy) {
	for _, name := range phaseOrder {
		list = append(list, c.Phases[name])
	}
	return list
}

func (c cell) parts() (list []accuracy) {
	for _, a := range c.Parts {
		list = append(list, a)
	}
	return list
}

// excess returns how far the times of the cell are off. It selects the better
// of two tries.
func (c cell) excess() (worst float64) {
	for _, a := range append(c.accuracies(), c.parts()...) {
		worst = max(worst, a.P50*1000/boundMedian)
		if !a.Within {
			worst = max(worst, a.P99*1000/boundP99)
		}
	}
	return worst
}

// complain keeps a few errors of the clients, because they repeat.
func (c *cell) complain(text string) {
	const kept = 3
	if len(c.Errors) < kept && !slices.Contains(c.Errors, text) {
		c.Errors = append(c.Errors, text)
	}
}

// problems describes what is wrong with the cell.
func (c cell) problems() string {
	var list []string
	if c.Sent == 0 {
		list = append(list, "nothing was sent")
	}
	for _, n := range []struct {
		count int
		what  string
	}{
		{c.Missing, "missing"}, {c.Doubled, "doubled"}, {c.Misattributed, "misattributed"},
		{c.Contradicted, "contradicted"}, {c.Invented, "invented"}, {c.Untold, "without truth"},
	} {
		if n.count > 0 {
			list = append(list, fmt.Sprintf("%d %s", n.count, n.what))
		}
	}
	for _, of := range []map[string]accuracy{c.Phases, c.Parts} {
		for _, name := range sortedKeys(of) {
			switch a := of[name]; {
			case a.Absent > 0:
				list = append(list, fmt.Sprintf("%s left out %d times", name, a.Absent))
			case !a.Within:
				list = append(list, fmt.Sprintf("%s off by %.0f/%.0f/%.0f µs", name, a.P50, a.P99, a.Max))
			}
		}
	}
	if len(list) > 0 && c.exact() {
		list = append(list, fmt.Sprintf("the servers' threads lost the CPU %d times", c.Pushed))
	}
	return strings.Join(append(list, c.Errors...), ", ")
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
