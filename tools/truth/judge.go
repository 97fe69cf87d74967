package main

import (
	"slices"

	"lapwing/tools/load"
)

// evidence is what is known about the requests of a cell.
type evidence struct {
	combination
	workers int
	result  load.Result
	records []record           // at the measured server, since the start of the cell
	account map[string]account // by request id
	noise   noise
}

// judge combines the evidence into a cell.
func (e evidence) judge() cell {
	c := cell{
		Arch: e.arch.name, Scenario: e.scenario.name, Load: e.load.name, Plan: string(e.plan),
		Workers: e.workers, Clients: e.when(e.workers, 1).Size, Peak: e.result.Peak(),
		Sent: len(e.result.Sent), Boundary: make(map[string]int), Tries: 1,
		Steal: millis(e.noise.steal), Waited: millis(e.noise.waited), Pushed: e.noise.preempted,
	}
	found := e.count(&c)
	e.compare(&c, found)
	for _, err := range e.result.Errs {
		c.complain(err.Error())
	}
	c.Within = c.exact() && !slices.ContainsFunc(append(c.accuracies(), c.parts()...), func(a accuracy) bool { return !a.Within })
	return c
}

// count separates the requests that were seen once from the others.
func (e evidence) count(c *cell) map[string][]record {
	found := make(map[string][]record, len(e.result.Sent))
	for _, s := range e.result.Sent {
		found[s.ID] = nil
		if s.Left != 0 {
			c.Stamped++
		}
		if _, ok := e.account[s.ID]; !ok {
			c.Untold++
		}
	}
	for _, r := range e.records {
		if _, sent := found[r.TraceID]; !sent {
			c.Invented++
			continue
		}
		found[r.TraceID] = append(found[r.TraceID], r)
	}
	for _, records := range found {
		if len(records) == 0 {
			c.Missing++
			continue
		}
		c.Seen++
		c.Doubled += len(records) - 1
	}
	return found
}

// compare compares the phases of each request with the truth.
func (e evidence) compare(c *cell, found map[string][]record) {
	all := make(map[string]*series)
	var waits []int64
	for id, records := range found {
		a, ok := e.account[id]
		if len(records) == 0 || !ok {
			continue
		}
		r := records[0]
		c.Boundary[r.Boundary]++
		if misattributed(e.arch, r, a) {
			c.Misattributed++
		}
		if contradicted(r, a) {
			c.Contradicted++
		}
		for _, w := range windows(r, a) {
			if all[w.name] == nil {
				all[w.name] = new(series)
			}
			all[w.name].add(id, w)
		}
		waits = append(waits, int64(hidden(a)))
	}
	c.Hidden = over(waits)
	c.Phases, c.Parts = make(map[string]accuracy), make(map[string]accuracy)
	for name, s := range all {
		if slices.Contains(phaseOrder, name) {
			c.Phases[name] = s.accuracy()
		} else {
			c.Parts[name] = s.accuracy()
		}
	}
}
