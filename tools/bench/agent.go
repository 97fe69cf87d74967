package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"lapwing/probes/socket/survey"
	"lapwing/tools/child"
)

const (
	agentReady   = "lapwing: attached"
	agentStart   = 30 * time.Second // including the verification of the programs
	agentStop    = 15 * time.Second
	agentVerbose = 1 << 20 // bytes of its output that are kept
)

// agent is the running agent.
type agent struct {
	proc   *child.Child
	output *tail
}

// totals are the totals in the agent's last line.
type totals struct {
	Final    bool `json:"final"`
	Services []struct {
		Requests uint64 `json:"requests"`
	} `json:"services"`
	Lost        map[string]uint64 `json:"lost"`
	MissedStart map[string]uint64 `json:"missed_start"`
}

func (t totals) requests() (sum uint64) {
	for _, service := range t.Services {
		sum += service.Requests
	}
	return sum
}

func (t totals) lost() (sum uint64) {
	for _, n := range t.Lost {
		sum += n
	}
	return sum
}

func startAgent(ctx context.Context, command []string, plan survey.Plan, port int) (*agent, error) {
	fill := strings.NewReplacer("{port}", strconv.Itoa(port), "{plan}", string(plan))
	args := make([]string, len(command))
	for i, word := range command {
		args[i] = fill.Replace(word)
	}
	a := &agent{output: new(tail)}
	var err error
	if a.proc, err = child.Start(child.Options{Args: args, Ready: agentReady, Stdout: a.output}); err != nil {
		return nil, err
	}
	line, err := a.proc.AwaitReady(ctx, agentStart)
	if err == nil && plan != survey.PlanAuto && !strings.Contains(line, "plan "+string(plan)) {
		err = fmt.Errorf("the agent was to use the plan %s and says %q", plan, line)
	}
	if err != nil {
		return nil, errors.Join(err, a.discard())
	}
	return a, nil
}

// discard stops an agent whose totals are not needed.
func (a *agent) discard() error {
	select {
	case <-a.proc.Done():
		return nil
	default:
		return a.proc.Stop(agentStop)
	}
}

// finish stops the agent and returns its totals.
func (a *agent) finish() (totals, error) {
	if err := a.proc.Stop(agentStop); err != nil {
		return totals{}, err
	}
	return parseTotals(a.output.Bytes())
}

func parseTotals(output []byte) (totals, error) {
	var t totals
	output = bytes.TrimSpace(output)
	last := output[bytes.LastIndexByte(output, '\n')+1:]
	if err := json.Unmarshal(last, &t); err != nil {
		return t, fmt.Errorf("read the agent's last line %q: %w", last, err)
	}
	if !t.Final {
		return t, fmt.Errorf(`the agent's last line has no "final": true: %q`, last)
	}
	return t, nil
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

var _ interface{ Write([]byte) (int, error) } = (*tail)(nil)

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, b...)
	if over := len(t.kept) - agentVerbose; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	return len(b), nil
}

// Bytes returns a copy of what was kept.
func (t *tail) Bytes() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return bytes.Clone(t.kept)
}

// agentPrograms lists the identifiers of the eBPF programs that a process
// holds, directly or through links.
func agentPrograms(pid int) ([]uint32, error) {
	dir := fmt.Sprintf("/proc/%d/fdinfo", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list the agent's descriptors: %w", err)
	}
	seen := make(map[uint32]bool)
	var ids []uint32
	for _, entry := range entries {
		info, err := os.ReadFile(dir + "/" + entry.Name())
		if err != nil {
			continue // closed in the meantime
		}
		if id, ok := programID(string(info)); ok && !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil, fmt.Errorf("process %d holds no eBPF program", pid)
	}
	return ids, nil
}

func programID(fdinfo string) (uint32, bool) {
	for line := range strings.SplitSeq(fdinfo, "\n") {
		if value, ok := strings.CutPrefix(line, "prog_id:"); ok {
			id, err := strconv.ParseUint(strings.TrimSpace(value), 10, 32)
			return uint32(id), err == nil
		}
	}
	return 0, false
}
