package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"lapwing/probes/socket/survey"
	"lapwing/tools/child"
)

const (
	agentReady = "lapwing: attached"
	startAgent = 90 * time.Second // including the verification of the programs, on a busy machine
)

// record is the part of a record of `lapwing trace` that is compared. A
// duration that the agent left out is nil.
type record struct {
	TraceID     string `json:"trace_id"`
	Status      int    `json:"status"`
	Queue       *int64 `json:"queue_ns"`
	Parse       *int64 `json:"parse_ns"`
	App         *int64 `json:"app_ns"`
	WriteBack   *int64 `json:"write_back_ns"`
	Backlog     *int64 `json:"backlog_ns"`
	Dispatch    *int64 `json:"dispatch_ns"`
	PID         int    `json:"pid"`
	TID         int    `json:"tid"`
	AcceptorTID int    `json:"acceptor_tid"`
	Local       string `json:"local"`
	Boundary    string `json:"boundary"`
}

// agent is a running `lapwing trace`.
type agent struct {
	proc *child.Child
	plan survey.Plan
	seen sightings
}

func watch(ctx context.Context, o options, plan survey.Plan) (*agent, error) {
	a := &agent{plan: plan, seen: sightings{at: make(map[string][]record)}}
	// Other servers of the machine must not fill the agent's output.
	server, err := exec.LookPath(o.refserver)
	if err == nil {
		server, err = filepath.EvalSymlinks(server)
	}
	if err == nil {
		server, err = filepath.Abs(server)
	}
	if err != nil {
		return nil, fmt.Errorf("find the reference server: %w: run make build", err)
	}
	args := []string{
		o.lapwing, "trace", "--format", "json", "--exe", server,
		"--probe-plan", string(plan), "--markers", o.markers,
	}
	if a.proc, err = child.Start(child.Options{Args: args, Ready: agentReady, Stdout: &a.seen}); err != nil {
		return nil, fmt.Errorf("%w: run make build", err)
	}
	line, err := a.proc.AwaitReady(ctx, startAgent)
	if err == nil && !strings.Contains(line, "plan "+string(plan)) {
		err = fmt.Errorf("the agent was to use the plan %s and says %q", plan, line)
	}
	if err != nil {
		_ = a.proc.Stop(stopPatience) // how it ended no longer matters
		return nil, err
	}
	return a, nil
}

func (a *agent) stop() error {
	if a == nil {
		return nil
	}
	if err := a.proc.Stop(stopPatience); err != nil {
		return err
	}
	return a.seen.err
}

// sightings parses the output of the agent and keeps the records by the address
// of the server.
type sightings struct {
	mu   sync.Mutex
	part []byte // an incomplete line
	at   map[string][]record
	err  error
}

// Write implements io.Writer.
func (s *sightings) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.part = append(s.part, b...)
	end := bytes.LastIndexByte(s.part, '\n') + 1
	for line := range bytes.Lines(s.part[:end]) {
		s.add(line)
	}
	s.part = append(s.part[:0], s.part[end:]...)
	return len(b), nil
}

func (s *sightings) add(line []byte) {
	var r record
	if err := json.Unmarshal(line, &r); err != nil {
		s.err = fmt.Errorf("the agent printed %q: %w", line, err)
		return
	}
	s.at[r.Local] = append(s.at[r.Local], r)
}

// from returns the records at an address, except the first skip ones.
func (s *sightings) from(address string, skip int) []record {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.at[address]
	return append([]record(nil), all[min(skip, len(all)):]...)
}
