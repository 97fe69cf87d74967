package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// phaseNames are the phases in order of time.
var phaseNames = [...]string{"queue", "parse", "app", "write_back"}

// result is what the agent measured of the reference server.
type result struct {
	Requests uint64           `json:"requests"`
	Duration stats            `json:"duration"`
	Phases   map[string]stats `json:"phases"`
}

type stats struct {
	P50 time.Duration `json:"p50_ns"`
	P99 time.Duration `json:"p99_ns"`
	Sum time.Duration `json:"sum_ns"`
}

// parseResult parses the totals, the last line of lapwing top --format json.
func parseResult(output []byte) (result, error) {
	output = bytes.TrimSpace(output)
	last := output[bytes.LastIndexByte(output, '\n')+1:]
	var totals struct {
		Final    bool     `json:"final"`
		Services []result `json:"services"`
	}
	if err := json.Unmarshal(last, &totals); err != nil {
		return result{}, fmt.Errorf("read the totals of lapwing top in %q: %w", last, err)
	}
	if !totals.Final {
		return result{}, fmt.Errorf("lapwing top ended without its totals, with %q", last)
	}
	// Only the reference server listens on the port.
	if len(totals.Services) != 1 || totals.Services[0].Duration.Sum <= 0 {
		return result{}, fmt.Errorf("lapwing top saw %d services with requests where there is one, its totals are %s", len(totals.Services), last)
	}
	return totals.Services[0], nil
}

// share returns the part of the total time that was spent in a phase, from 0 to
// 1.
func (r result) share(phase string) float64 {
	return float64(r.Phases[phase].Sum) / float64(r.Duration.Sum)
}

// largest returns the phase that took most of the time.
func (r result) largest() string {
	most := phaseNames[0]
	for _, phase := range phaseNames {
		if r.share(phase) > r.share(most) {
			most = phase
		}
	}
	return most
}

// tell prints where the time went, and the conclusion.
func (r result) tell(w io.Writer, opts options, answered uint64) error {
	const barWidth = 40
	var b strings.Builder
	fmt.Fprintf(&b, "\nThe clients got %d responses, lapwing top saw %d requests. Where their time went:\n\n", answered, r.Requests)
	fmt.Fprintf(&b, "  %-10s  %6s  %9s  %9s\n", "phase", "share", "median", "p99")
	for _, phase := range phaseNames {
		p := r.Phases[phase]
		bar := strings.Repeat("#", int(r.share(phase)*barWidth+0.5))
		line := fmt.Sprintf("  %-10s  %5.1f%%  %9s  %9s  %s", phase, 100*r.share(phase), brief(p.P50), brief(p.P99), bar)
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	fmt.Fprintf(&b, "\n%s\n", r.sentence(opts))
	_, err := io.WriteString(w, b.String())
	return err
}

// sentence returns what the figures mean.
func (r result) sentence(opts options) string {
	phase := r.largest()
	percent := 100 * r.share(phase)
	if phase != "queue" {
		return fmt.Sprintf("%.0f %% of the request time is %s: at the median, %s of %s.",
			percent, phase, brief(r.Phases[phase].P50), brief(r.Duration.P50))
	}
	return fmt.Sprintf("%.0f %% of the request time is queue, because %d clients share %d workers: the median request waits %s before a worker reads it, for %s of work.",
		percent, opts.clients, opts.workers, brief(r.Phases["queue"].P50), brief(r.Phases["app"].P50))
}

// brief formats a duration with three significant digits.
func brief(d time.Duration) string {
	switch {
	case d >= time.Second:
		return fmt.Sprintf("%.3g s", d.Seconds())
	case d >= time.Millisecond:
		return fmt.Sprintf("%.3g ms", float64(d)/float64(time.Millisecond))
	}
	return fmt.Sprintf("%.3g µs", float64(d)/float64(time.Microsecond))
}
