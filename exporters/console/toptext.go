package console

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"lapwing/exporters/health"
)

// finalBreakdowns is the highest number of services that the final text breaks
// down by phase.
const finalBreakdowns = 10

// textReport writes a table every interval, for logs and for pipes.
type textReport struct {
	w     io.Writer
	width int
	color bool
	begun bool // the legend has been written
}

func (r *textReport) interval(t Table, h health.Health) error {
	return r.write(r.appendTable(nil, "interval", &t, h))
}

// final writes the totals. It breaks each service down by phase if the table
// has no room for all percentiles.
func (r *textReport) final(t Table, h health.Health) error {
	b := r.appendTable(nil, "since the start", &t, h)
	if !percentiles(columnsFor(r.width)) {
		for i := range t.Services[:min(len(t.Services), finalBreakdowns)] {
			s := &t.Services[i]
			b, _ = appendText(b, serviceTitle(s), r.width)
			b = appendBreakdown(append(b, '\n'), s, "  ", r.width, r.color)
			b = append(b, '\n')
		}
	}
	return r.write(b)
}

func (r *textReport) write(b []byte) error {
	_, err := r.w.Write(b)
	return err
}

// appendTable writes a line with the time, the table, a line about the agent if
// there is something to say, and a blank line.
func (r *textReport) appendTable(b []byte, span string, t *Table, h health.Health) []byte {
	requests, _ := t.total()
	title := fmt.Sprintf("%s  %s %s  %s  %s/s",
		t.At.Format(time.DateTime), span, duration(t.Elapsed), health.Phrase(requests, "requests"), rateText(t.Rate(requests)))
	b, _ = appendText(b, title, r.width)
	b = append(b, '\n')
	if len(t.Services) > 0 {
		if !r.begun {
			r.begun = true
			b = append(append(b, legend...), '\n')
		}
		columns := columnsFor(r.width)
		b = append(appendHeads(b, columns), '\n')
		for i := range t.Services {
			b = append(appendRow(b, columns, t, &t.Services[i], r.color), '\n')
		}
	}
	for _, line := range wrap(healthFacts(h), r.width) {
		b = append(append(b, line...), '\n')
	}
	return append(b, '\n')
}

func serviceTitle(s *ServiceStats) string {
	return fmt.Sprintf("%s: %s, %s", s.Service, health.Phrase(s.Requests, "requests"), health.Phrase(s.Errors, "errors"))
}

// healthFacts describes the agent's health in short facts. What did not happen
// is left out, except that nothing was lost.
func healthFacts(h health.Health) []string {
	facts := []string{"agent: " + health.Phrase(h.Total(health.Requests), "requests")}
	for _, c := range health.Table {
		switch {
		case c.Short == "":
		case c == health.Lost && h.Total(c) == 0:
			facts = append(facts, "none lost")
		case len(c.By) == 0 && h.Total(c) > 0:
			facts = append(facts, health.Phrase(h.Total(c), c.Short))
		case c.Apart:
			scopes := h.Scopes(c)
			for _, scope := range slices.Sorted(maps.Keys(scopes)) {
				facts = append(facts, causes(c.Short+" "+scope, scopes[scope])...)
			}
		case len(c.By) > 0:
			facts = append(facts, causes(c.Short, h.Causes(c))...)
		}
	}
	return facts
}

func causes(what string, counts map[string]uint64) []string {
	var facts []string
	for _, cause := range slices.Sorted(maps.Keys(counts)) {
		if n := counts[cause]; n > 0 {
			facts = append(facts, fmt.Sprintf("%s %s %d", what, cause, n))
		}
	}
	return facts
}

// wrap joins facts into lines of at most width cells.
func wrap(facts []string, width int) []string {
	const separator = " | "
	var lines []string
	line := ""
	for _, fact := range facts {
		switch {
		case line == "":
			line = fact
		case len(line)+len(separator)+len(fact) <= width:
			line += separator + fact
		default:
			lines = append(lines, fit(line, width))
			line = fact
		}
	}
	return append(lines, fit(line, width))
}

// fit cuts plain text to a width.
func fit(s string, width int) string {
	b, _ := appendText(nil, strings.TrimRight(s, " "), width)
	return string(b)
}
