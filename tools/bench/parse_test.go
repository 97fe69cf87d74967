package main

import (
	"context"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/probes/socket/survey"
)

func TestParseStatus(t *testing.T) {
	page := "Active connections: 3 \nserver accepts handled requests\n 12 12 3456 \nReading: 0 Writing: 1 Waiting: 2 \n"
	active, requests, err := parseStatus(page)
	assert.NoError(t, err)
	assert.EqualValues(t, 3, active)
	assert.EqualValues(t, 3456, requests)
	_, _, err = parseStatus("404 Not Found")
	assert.Error(t, err, "no error for another page")
}

func TestParseWrk(t *testing.T) {
	r, err := parseWrk("Running 2s test\nwrk-result: {\"requests\":400000,\"duration_us\":2000000,\"p99_us\":210,\"errors\":0}\n")
	assert.NoError(t, err)
	assert.Equal(t, 200_000.0, r.throughput(), "got %+v", r)
	assert.Equal(t, 210.0, r.P99, "got %+v", r)
	for _, bad := range []string{"", "wrk-result: nonsense", `wrk-result: {"requests":5,"duration_us":1,"errors":1}`, `wrk-result: {"requests":0,"duration_us":1}`} {
		_, err = parseWrk(bad)
		assert.Error(t, err, "no error for %q", bad)
	}
}

func TestParseTotals(t *testing.T) {
	out := `{"final":false,"services":[{"requests":1}]}
{"final":true,"services":[{"requests":40},{"requests":2}],"lost":{"ring_full":3,"slow":1},"missed_start":{}}
`
	got, err := parseTotals([]byte(out))
	assert.NoError(t, err)
	assert.EqualValues(t, 42, got.requests(), "got %+v", got)
	assert.EqualValues(t, 4, got.lost(), "got %+v", got)
	for _, bad := range []string{"", `{"final":false}`, "panic: oh"} {
		_, err = parseTotals([]byte(bad))
		assert.Error(t, err, "no error for %q", bad)
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	var kept tail
	for range 3 {
		_, _ = kept.Write([]byte(strings.Repeat("x", agentVerbose/2)))
	}
	_, _ = kept.Write([]byte("end"))
	b := kept.Bytes()
	assert.Equal(t, agentVerbose, len(b), "bytes that are kept")
	assert.True(t, strings.HasSuffix(string(b), "end"), "the end is not kept")
}

func TestProgramID(t *testing.T) {
	id, ok := programID("pos:\t0\nlink_type:\traw_tracepoint\nprog_id:\t217\n")
	assert.True(t, ok, "found no program")
	assert.EqualValues(t, 217, id)
	_, ok = programID("pos:\t0\nmap_id:\t3\n")
	assert.False(t, ok, "found a program in a map")
}

func TestSpread(t *testing.T) {
	assert.Equal(t, spread{Median: 3, Q1: 2, Q3: 4, Min: 1, Max: 5}, spreadOf([]float64{5, 1, 4, 2, 3}))
	s := spreadOf([]float64{1, 2})
	assert.Equal(t, 1.5, s.Median, "got %+v", s)
	assert.Equal(t, 1.25, s.Q1, "got %+v", s)
	assert.Equal(t, spread{}, spreadOf(nil))
}

func TestInterleaveAlternates(t *testing.T) {
	var order []string
	run := func(name string) func(context.Context) (string, error) {
		return func(context.Context) (string, error) {
			order = append(order, name)
			return name, nil
		}
	}
	pairs, err := interleave(context.Background(), 3, run("A"), run("B"))
	require.NoError(t, err)
	assert.Equal(t, "ABBAAB", strings.Join(order, ""))
	for _, p := range pairs {
		assert.Equal(t, "A", p.Without, "pair %+v", p)
		assert.Equal(t, "B", p.With, "pair %+v", p)
	}
}

func TestOptions(t *testing.T) {
	o, err := parseOptions([]string{"-plans", "syscall, socket", "-seconds", "3"})
	assert.NoError(t, err)
	assert.Equal(t, 3*time.Second, o.length, "got %+v", o)
	assert.Equal(t, []survey.Plan{survey.PlanSyscall, survey.PlanSocket}, o.plans, "got %+v", o)
	o, err = parseOptions([]string{"-plans", "none"})
	assert.NoError(t, err)
	assert.Empty(t, o.plans, "got %+v", o)
	for _, bad := range [][]string{{"-pairs", "0"}, {"-seconds", "0"}, {"-rate", "0"}, {"-plans", "kprobe"}, {"-format", "xml"}, {"-agent-cmd", " "}, {"-wrk-threads", "9", "-connections", "8"}, {"now"}} {
		_, err = parseOptions(bad)
		assert.Error(t, err, "no error for %v", bad)
	}
}

func TestTargets(t *testing.T) {
	limit := new(0.9)
	for _, c := range []struct {
		f   figure
		met bool
	}{
		{figure{Value: 0.9}.atLeast(limit), true},
		{figure{Value: 0.89}.atLeast(limit), false},
		{figure{Value: 0.9}.atMost(limit), true},
		{figure{Value: math.Inf(1)}.atMost(limit), false},
	} {
		assert.Equal(t, c.met, c.f.Target.Met, "%+v: want met %v", c.f, c.met)
	}
	assert.Nil(t, figure{}.atMost(nil).Target, "a target where none is promised")
}

func TestOwnCPUTimeAndMemory(t *testing.T) {
	before, err := cpuTime(os.Getpid())
	require.NoError(t, err)
	for begin := time.Now(); time.Since(begin) < 5*time.Millisecond; {
	}
	after, err := cpuTime(os.Getpid())
	assert.NoError(t, err)
	assert.Greater(t, after, before, "the CPU time did not grow")
	m, err := residentMemory(os.Getpid())
	assert.NoError(t, err)
	assert.GreaterOrEqual(t, m.Now, uint64(1<<20), "memory %+v", m)
	assert.GreaterOrEqual(t, m.Peak, m.Now, "memory %+v", m)
	_, err = cpuTime(1 << 22)
	assert.Error(t, err, "CPU time of a process that is not there")
}
