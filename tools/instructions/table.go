package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"lapwing/probes/socket/survey"
)

// writeTable prints the figures as tables: a block per kernel and plan, a line
// per state, a column per mode.
func writeTable(w io.Writer, r report, changes []change) error {
	t := table{report: r, changes: changes}
	fmt.Fprintf(&t.out, "%s, %s, one worker, 8 connections; instructions per request\n", r.Agent, r.Nginx)
	for _, f := range r.Figures {
		if f.State != stateNone && !slices.Contains(t.done, block{f.Kernel, f.Plan}) {
			t.block(block{f.Kernel, f.Plan})
		}
	}
	_, err := io.WriteString(w, t.out.String())
	return err
}

type block struct {
	kernel string
	plan   survey.Plan
}

type table struct {
	report
	changes []change
	done    []block
	out     strings.Builder
}

func (t *table) block(b block) {
	t.done = append(t.done, b)
	fmt.Fprintf(&t.out, "\nLinux %s, plan %s\n", t.Kernels[b.kernel], b.plan)
	cells := tabwriter.NewWriter(&t.out, 0, 0, 3, ' ', 0)
	modes := t.modes(b)
	fmt.Fprint(cells, " ")
	for _, m := range modes {
		fmt.Fprintf(cells, "\t%s, %s", m.transport(), m.connections())
	}
	fmt.Fprintln(cells)
	for _, s := range []state{stateNone, stateIdle, stateStopped, stateAll} {
		t.line(cells, b, s, modes)
	}
	_ = cells.Flush() // into memory
}

// modes returns the modes that were measured in a block.
func (t *table) modes(b block) []mode {
	return slices.DeleteFunc(slices.Clone(wholeWork.modes), func(m mode) bool {
		_, ok := t.get(key{Kernel: b.kernel, Plan: b.plan, State: stateAll, Mode: m})
		return !ok
	})
}

func (t *table) line(w io.Writer, b block, s state, modes []mode) {
	name := "  " + s.words()
	var cells strings.Builder
	for _, m := range modes {
		k := key{Kernel: b.kernel, State: s, Mode: m}
		if s != stateNone {
			k.Plan = b.plan
		}
		f, ok := t.get(k)
		if !ok {
			return
		}
		cells.WriteString("\t" + t.cell(f))
	}
	fmt.Fprintln(w, name+cells.String())
}

// cell returns a figure, the share of the agent's process, and its change.
func (t *table) cell(f figure) string {
	text := fmt.Sprint(f.Instructions)
	if f.Process > 0 {
		text += fmt.Sprintf(", process %d", f.Process)
	}
	i := slices.IndexFunc(t.changes, func(c change) bool { return c.key == f.key })
	if i >= 0 && t.changes[i].known() {
		text += fmt.Sprintf(" (%+.1f %%)", t.changes[i].growth())
	}
	return text
}
