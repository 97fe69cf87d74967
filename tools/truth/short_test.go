package main

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
)

func TestMain(m *testing.M) {
	status := m.Run()
	if err := harness.Cleanup(); err != nil {
		fmt.Fprintln(os.Stderr, "clean up:", err)
		status = 1
	}
	os.Exit(status)
}

// TestShort is the part of make truth that make test runs: the architectures
// that differ most in where requests wait, overloaded, with both plans. Counts
// must be exact. Times have larger bounds here, because tests run on machines
// that do other work as well. make truth has the strict bounds.
func TestShort(t *testing.T) {
	o := options{
		lapwing: harness.Lapwing(t), refserver: harness.RefServer(t),
		workers: 2, requests: 60, tries: 3, markers: "auto",
		pick: selection{
			archs: []string{"prefork", "threaded", "evented", archDaemon}, scenarios: []string{"sleep", "pipelining", "http-unix"},
			loads: []string{"4x"}, plans: harness.Plans(t),
		},
	}
	todo, _ := o.pick.cells()
	require.Len(t, todo, 7*len(o.pick.plans))
	cells, err := measure(context.Background(), o, todo)
	require.NoError(t, err)
	require.Len(t, cells, len(todo))
	for i, c := range cells {
		t.Run(todo[i].String(), func(t *testing.T) {
			assert.True(t, c.exact(), c.problems())
			assert.GreaterOrEqual(t, c.Sent, o.requests)
			for _, name := range phaseOrder {
				atMost(t, name+", median error", c.Phases[name].P50, 100*time.Microsecond)
			}
			if c.Arch == archDaemon || c.Scenario != "sleep" {
				return
			}
			assert.Greater(t, c.Peak, c.Workers, "requests had to wait")
			queueIsWhere(t, c)
		})
	}
}

func atMost(t *testing.T, what string, us float64, limit time.Duration) {
	t.Helper()
	assert.LessOrEqual(t, us, micros(int64(harness.Slow(limit))), what+" in µs")
}

// queueIsWhere checks that the agent reports the wait where the architecture
// has it.
func queueIsWhere(t *testing.T, c cell) {
	t.Helper()
	queue, backlog, dispatch := c.Phases["queue"].Agent, c.Parts["backlog"].Agent, c.Parts["dispatch"].Agent
	switch c.Arch {
	case "prefork":
		assert.Greater(t, backlog, queue/2, "median backlog and queue")
	case "threaded":
		assert.Greater(t, dispatch, queue/2, "median dispatch and queue")
	}
}
