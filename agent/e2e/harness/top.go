package harness

import (
	"encoding/json"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/probes/socket/survey"
)

// Top is a running `lapwing top --format json`.
type Top struct {
	*Process
	out  io.Reader
	last chan topOutcome
}

type topOutcome struct {
	final Totals
	lines int
	err   error
}

// Totals is the last object that `lapwing top --format json` prints.
type Totals struct {
	Final       bool              `json:"final"`
	Services    []ServiceTotals   `json:"services"`
	Lost        map[string]uint64 `json:"lost"`
	MissedStart map[string]uint64 `json:"missed_start"`
	InFlight    uint64            `json:"in_flight"`
}

// ServiceTotals are the totals of one service. Durations are in nanoseconds.
type ServiceTotals struct {
	Service  string                 `json:"service"`
	Requests uint64                 `json:"requests"`
	Errors   uint64                 `json:"errors"`
	Duration Percentiles            `json:"duration"`
	Phases   map[string]Percentiles `json:"phases"`
}

// Percentiles describes the distribution of a duration, in nanoseconds.
type Percentiles struct {
	P50 int64 `json:"p50_ns"`
	P95 int64 `json:"p95_ns"`
	P99 int64 `json:"p99_ns"`
	Sum int64 `json:"sum_ns"`
}

// Requests adds up the requests of all services.
func (t Totals) Requests() (n uint64) {
	for _, s := range t.Services {
		n += s.Requests
	}
	return n
}

// Sum adds up counts by cause.
func Sum(causes map[string]uint64) (n uint64) {
	for _, c := range causes {
		n += c
	}
	return n
}

// StartTop starts the agent and waits until its probes are attached.
func StartTop(t testing.TB, plan survey.Plan, args ...string) *Top {
	t.Helper()
	p, out := startAgent(t, "top", plan, args)
	top := &Top{Process: p, out: out, last: make(chan topOutcome, 1)}
	go func() { top.last <- readTotals(out) }()
	awaitAttached(t, p, plan)
	return top
}

// readTotals reads all objects and keeps the last one.
func readTotals(out io.Reader) (o topOutcome) {
	for dec := json.NewDecoder(out); ; o.lines++ {
		var t Totals
		switch err := dec.Decode(&t); err {
		case nil:
			o.final = t
		case io.EOF:
			return o
		default:
			o.err = err
			_, _ = io.Copy(io.Discard, out)
			return o
		}
	}
}

// Finish ends the agent like a user does and returns its totals.
func (top *Top) Finish() Totals {
	top.t.Helper()
	assert.NoError(top.t, top.Stop(), "the agent must end with status 0:\n%s", top.Stderr())
	select {
	case o := <-top.last:
		require.True(top.t, o.err == nil && o.final.Final, "no final object after %d lines: %v\n%s", o.lines, o.err, top.Stderr())
		return o.final
	case <-time.After(Slow(5 * time.Second)):
		require.Fail(top.t, "the output of lapwing top did not end with its process")
		return Totals{}
	}
}
