package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// writeTable prints the figures as a table.
func (r *report) writeTable(w io.Writer) error {
	var b strings.Builder
	m, s := r.Machine, r.Setup
	fmt.Fprintf(&b, "\nnginx %s, one worker, %d kept-alive connections; wrk with %d threads\n", strings.TrimPrefix(m.Nginx, "nginx/"), s.Connections, s.WrkThreads)
	fmt.Fprintf(&b, "Linux %s, %d × %s\n", m.Kernel, m.CPUs, m.CPU)
	fmt.Fprintf(&b, "%d pairs of runs of %gs each; figures are medians, [quartiles] over the pairs\n", s.Pairs, s.Seconds)
	subject := ""
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, f := range r.figures() {
		if f.Subject != subject {
			subject = f.Subject
			// A title in the cells of the table would widen its columns.
			_ = table.Flush()
			fmt.Fprintf(&b, "\n%s\n", title(subject))
		}
		fmt.Fprintf(table, "  %s\t%s\t%s\t%s\t%s\n", f.Name, f.show(f.Value), f.quartiles(), f.verdict(), strings.TrimSpace(f.Note))
	}
	_ = table.Flush() // into memory
	_, err := io.WriteString(w, b.String())
	return err
}

func title(subject string) string {
	if subject == "noise floor" {
		return "noise floor (both halves of a pair without the agent)"
	}
	return "plan " + subject
}

// show formats a value in the unit of the figure.
func (f figure) show(v float64) string {
	switch f.Unit {
	case unitRatio:
		return fmt.Sprintf("%.3f", v)
	case unitMiB:
		return fmt.Sprintf("%.1f MiB", v)
	case unitNanos:
		return fmt.Sprintf("%.3f µs", v/1000)
	}
	return fmt.Sprintf("%.0f", v)
}

func (f figure) quartiles() string {
	if f.Spread == nil {
		return ""
	}
	return "[" + f.show(f.Spread.Q1) + ", " + f.show(f.Spread.Q3) + "]"
}

func (f figure) verdict() string {
	if f.Target == nil {
		return ""
	}
	relation, met := "≤", "not met"
	if f.Target.AtLeast {
		relation = "≥"
	}
	if f.Target.Met {
		met = "met"
	}
	return fmt.Sprintf("%s %s: %s", relation, f.show(f.Target.Limit), met)
}
