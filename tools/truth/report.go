package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
)

// save writes the JSON form to a file. It creates the folder of the file.
func save(path string, cells []cell) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("save the report: %w", err)
	}
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("save the report: %w", err)
	}
	if err := cmp.Or(writeJSON(file, cells), file.Close()); err != nil {
		return fmt.Errorf("save the report: %w", err)
	}
	return nil
}

func writeJSON(w io.Writer, cells []cell) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(cells)
}

// writeTable prints the cells as a table.
func writeTable(w io.Writer, cells []cell) error {
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	title := ""
	for _, c := range cells {
		if t := fmt.Sprintf("plan %s, %s", c.Plan, c.Arch); t != title {
			title = t
			// A title in the cells of the table would widen its columns.
			_ = table.Flush()
			fmt.Fprintf(&b, "\n%s\n", title)
			fmt.Fprintln(table, "  scenario\tload\tseen/sent\tm/d/w/c\tqueue\tparse\tapp\twrite_back\tverdict")
		}
		fmt.Fprintf(table, "  %s\t%s\t%d/%d\t%d/%d/%d/%d", c.Scenario, c.Load, c.Seen, c.Sent, c.Missing, c.Doubled, c.Misattributed, c.Contradicted)
		for _, a := range c.accuracies() {
			fmt.Fprintf(table, "\t%.0f/%.0f/%.0f", a.P50, a.P99, a.Max)
		}
		fmt.Fprintf(table, "\t%s\n", c.verdict())
	}
	_ = table.Flush() // into memory
	b.WriteString("\nm/d/w/c: missing, doubled, attributed to the wrong worker, contradicted by the stamps around a call.\n" +
		"Phases: median/p99/maximum of the absolute error in µs.\n")
	writeQueues(&b, cells)
	_, err := io.WriteString(w, b.String())
	return cmp.Or(err, writeSummary(w, cells))
}

// writeSummary counts the cells within the bounds, and describes what is wrong
// with the others.
func writeSummary(w io.Writer, cells []cell) error {
	var b strings.Builder
	within, late, repeats := 0, 0, 0
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, c := range cells {
		repeats += c.Tries - 1
		if !c.Within {
			fmt.Fprintf(table, "  %s\t%s\t%s\t%s\t%s%s\n", c.Plan, c.Arch, c.Scenario, c.Load, c.problems(), c.effort())
			continue
		}
		within++
		if c.Tries > 1 {
			late++
		}
	}
	_ = table.Flush() // into memory
	_, err := fmt.Fprintf(w, "\n%d of %d cells are within the bounds, %d of them after a repeat; %d repeats in all.\n%s",
		within, len(cells), late, repeats, b.String())
	return err
}

// effort returns how often a cell ran, if it was more than once.
func (c cell) effort() string {
	if c.Tries < 2 {
		return ""
	}
	return fmt.Sprintf(", after %d tries", c.Tries)
}

func (c cell) verdict() string {
	text := "ok"
	if !c.Within {
		text = "OFF"
	}
	if c.Tries > 1 {
		text += fmt.Sprintf(", try %d", c.Tries)
	}
	return text
}

// writeQueues shows where requests waited when there were more clients than
// workers: medians of the truth and of the agent's figures.
func writeQueues(b *strings.Builder, cells []cell) {
	table := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	head := "\nWhere requests waited under load 4x: medians in ms, truth → agent\n"
	for _, c := range cells {
		if c.Load != "4x" {
			continue
		}
		if head != "" {
			b.WriteString(head)
			fmt.Fprintln(table, "  plan\tarch\tscenario\tqueue\tbacklog\tdispatch")
			head = ""
		}
		fmt.Fprintf(table, "  %s\t%s\t%s\t%s\t%s\t%s\n", c.Plan, c.Arch, c.Scenario,
			c.Phases["queue"].medians(), c.Parts["backlog"].medians(), c.Parts["dispatch"].medians())
	}
	_ = table.Flush() // into memory
}

func (a accuracy) medians() string { return fmt.Sprintf("%.2f → %.2f", a.Truth/1000, a.Agent/1000) }

// verdict returns an error if a cell is not within the bounds.
func verdict(cells []cell) error {
	off := 0
	for _, c := range cells {
		if !c.Within {
			off++
		}
	}
	if off > 0 {
		return fmt.Errorf("%d of %d cells are not within the bounds", off, len(cells))
	}
	return nil
}

func sortedKeys(m map[string]accuracy) []string { return slices.Sorted(maps.Keys(m)) }
