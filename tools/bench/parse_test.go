package main

import (
	"context"
	"math"
	"os"
	"slices"
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
	if err != nil || active != 3 || requests != 3456 {
		t.Errorf("got %d, %d, %v", active, requests, err)
	}
	_, _, err = parseStatus("404 Not Found")
	assert.Error(t, err, "no error for another page")
}

func TestParseWrk(t *testing.T) {
	r, err := parseWrk("Running 2s test\nwrk-result: {\"requests\":400000,\"duration_us\":2000000,\"p99_us\":210,\"errors\":0}\n")
	if err != nil || r.throughput() != 200_000 || r.P99 != 210 {
		t.Errorf("got %+v, %v", r, err)
	}
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
	if err != nil || got.requests() != 42 || got.lost() != 4 {
		t.Errorf("got %+v, %v", got, err)
	}
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
	if b := kept.Bytes(); len(b) != agentVerbose || !strings.HasSuffix(string(b), "end") {
		t.Errorf("kept %d bytes", len(b))
	}
}

func TestProgramID(t *testing.T) {
	if id, ok := programID("pos:\t0\nlink_type:\traw_tracepoint\nprog_id:\t217\n"); !ok || id != 217 {
		t.Errorf("got %d, %v", id, ok)
	}
	if _, ok := programID("pos:\t0\nmap_id:\t3\n"); ok {
		t.Error("found a program in a map")
	}
}

func TestSpread(t *testing.T) {
	s := spreadOf([]float64{5, 1, 4, 2, 3})
	if s != (spread{Median: 3, Q1: 2, Q3: 4, Min: 1, Max: 5}) {
		t.Errorf("got %+v", s)
	}
	if s := spreadOf([]float64{1, 2}); s.Median != 1.5 || s.Q1 != 1.25 {
		t.Errorf("got %+v", s)
	}
	if s := spreadOf(nil); s != (spread{}) {
		t.Errorf("got %+v", s)
	}
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
		if p.Without != "A" || p.With != "B" {
			t.Errorf("pair %+v", p)
		}
	}
}

func TestOptions(t *testing.T) {
	o, err := parseOptions([]string{"-plans", "syscall, socket", "-seconds", "3"})
	if err != nil || o.length != 3*time.Second || !slices.Equal(o.plans, []survey.Plan{survey.PlanSyscall, survey.PlanSocket}) {
		t.Errorf("got %+v, %v", o, err)
	}
	if o, err := parseOptions([]string{"-plans", "none"}); err != nil || len(o.plans) != 0 {
		t.Errorf("got %+v, %v", o, err)
	}
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
	if (figure{}.atMost(nil)).Target != nil {
		t.Error("a target where none is promised")
	}
}

func TestOwnCPUTimeAndMemory(t *testing.T) {
	before, err := cpuTime(os.Getpid())
	require.NoError(t, err)
	for begin := time.Now(); time.Since(begin) < 5*time.Millisecond; {
	}
	after, err := cpuTime(os.Getpid())
	if err != nil || after <= before {
		t.Errorf("CPU time went from %s to %s, %v", before, after, err)
	}
	if m, err := residentMemory(os.Getpid()); err != nil || m.Now < 1<<20 || m.Peak < m.Now {
		t.Errorf("memory %+v, %v", m, err)
	}
	_, err = cpuTime(1 << 22)
	assert.Error(t, err, "CPU time of a process that is not there")
}
