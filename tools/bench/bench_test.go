package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/probes/socket/survey"
)

// With fakeAgentEnv set, the test binary acts as an agent that attaches one
// empty program to every system call and reports fakeRequests.
const (
	fakeAgentEnv = "LAPWING_BENCH_FAKE_AGENT"
	fakeRequests = 7
)

func TestMain(m *testing.M) {
	if os.Getenv(fakeAgentEnv) == "" {
		os.Exit(m.Run())
	}
	if err := fakeAgent(); err != nil {
		fmt.Fprintln(os.Stderr, "fake agent:", err)
		os.Exit(1)
	}
}

func fakeAgent() error {
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "fake_probe", Type: ebpf.RawTracepoint, License: "Apache-2.0",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()},
	})
	if err != nil {
		return err
	}
	defer program.Close()
	attached, err := link.AttachRawTracepoint(link.RawTracepointOptions{Name: "sys_enter", Program: program})
	if err != nil {
		return err
	}
	defer attached.Close()
	fmt.Fprintf(os.Stderr, "lapwing: attached (plan %s)\n", os.Args[len(os.Args)-1])
	<-term
	fmt.Println(`{"final":false}`)
	fmt.Printf(`{"services":[{"service":"nginx","requests":%d}],"lost":{"ring_full":2},"missed_start":{},"final":true}`+"\n", fakeRequests)
	return nil
}

func testOptions(t *testing.T, agent string) options {
	t.Helper()
	o, err := parseOptions([]string{
		"-pairs", "1", "-seconds", "1", "-rate", "500", "-plans", "syscall", "-connections", "4",
		"-agent-cmd", agent, "-out", filepath.Join(t.TempDir(), "build", "bench.json"),
	})
	require.NoError(t, err)
	return o
}

// TestWholeBenchmark runs the benchmark against nginx with the fake agent.
func TestWholeBenchmark(t *testing.T) {
	t.Setenv(fakeAgentEnv, "1")
	opts := testOptions(t, os.Args[0]+" {port} {plan}")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r, err := measure(ctx, opts)
	require.NoError(t, err)
	noise := r.Noise.FixedRate[0]
	assert.Nil(t, noise.With.Agent, "a bare run has an agent")
	assert.EqualValues(t, 501, noise.With.Served, "a bare run at 500/s for a second: %+v", noise.With)
	assert.EqualValues(t, 501, noise.With.Client, "a bare run at 500/s for a second: %+v", noise.With)
	p := r.Plans[0]
	with := p.FullSpeed[0].With
	assert.GreaterOrEqual(t, with.Served, with.Client, "nginx counted fewer requests than wrk")
	assert.LessOrEqual(t, with.Served, with.Client+uint64(opts.connections), "nginx counted %d requests, wrk %d", with.Served, with.Client)
	assert.GreaterOrEqual(t, with.Agent.Memory.Peak, uint64(1<<20), "no memory measured: %+v", with.Agent)
	assert.Positive(t, with.ServerCPU, "no CPU time measured: %+v", with)
	checkPrograms(t, p.Statistics)
	checkVerdicts(t, r)
	require.NoError(t, r.save(opts.out))
	checkSaved(t, opts.out)
}

// checkPrograms expects at least a read and a write of nginx per request.
func checkPrograms(t *testing.T, s sample) {
	t.Helper()
	programs := s.Agent.Programs
	if assert.Len(t, programs, 1) {
		assert.Equal(t, "fake_probe", programs[0].Name)
		assert.GreaterOrEqual(t, programs[0].Runs, 2*s.Client, "statistics for %d requests: %+v", s.Client, programs)
		assert.Positive(t, programs[0].Runtime, "statistics for %d requests: %+v", s.Client, programs)
	}
}

// checkVerdicts expects that the fake agent has seen seven requests and lost
// two in each of three runs.
func checkVerdicts(t *testing.T, r *report) {
	t.Helper()
	seen := make(map[string]bool)
	for _, f := range r.figures() {
		switch f.Name {
		case "records lost":
			seen[f.Name] = f.Value == 6 && !f.Target.Met && f.Note == "ring_full 6 "
		case "requests miscounted":
			seen[f.Name] = f.Value > 494 && !f.Target.Met
		case "agent memory":
			seen[f.Name] = f.Target.Met
		}
	}
	assert.Equal(t, map[string]bool{"records lost": true, "requests miscounted": true, "agent memory": true}, seen, "verdicts")
	assert.False(t, r.allMet(), "all are met although records were lost")
}

func checkSaved(t *testing.T, path string) {
	t.Helper()
	saved, err := os.ReadFile(path)
	require.NoError(t, err)
	var back report
	require.NoError(t, json.Unmarshal(saved, &back))
	assert.NotEmpty(t, back.Figures, "the saved report lacks its figures: %s", saved)
	if assert.Len(t, back.Plans, 1) {
		assert.Equal(t, survey.PlanSyscall, back.Plans[0].Plan)
	}
	var table bytes.Buffer
	require.NoError(t, back.writeTable(&table))
	for _, want := range []string{"noise floor", "plan syscall", "fake_probe", "not met"} {
		assert.Contains(t, table.String(), want)
	}
}

func TestAgentThatDoesNotStart(t *testing.T) {
	for name, c := range map[string]struct{ script, want string }{
		"says why":      {"echo lapwing: CAP_BPF is missing >&2; exit 1", "CAP_BPF is missing"},
		"wrong plan":    {"trap 'exit 0' TERM; echo 'lapwing: attached (plan socket)'; while :; do sleep 0.05; done", "was to use the plan syscall"},
		"not installed": {"", "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			script := filepath.Join(t.TempDir(), "agent")
			if c.script != "" {
				require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\n"+c.script+"\n"), 0o700))
			}
			_, err := startAgent(context.Background(), []string{script}, survey.PlanSyscall, 1)
			assert.ErrorContains(t, err, c.want)
		})
	}
}

func TestNginxThatDoesNotStart(t *testing.T) {
	_, err := startNginx(context.Background(), "/does/not/exist", t.TempDir())
	assert.ErrorContains(t, err, "make deps")
	_, err = startNginx(context.Background(), "false", t.TempDir())
	assert.ErrorContains(t, err, "did not start")
}
