package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"lapwing/probes/socket/survey"
)

// report holds everything that was measured. Its JSON form contains every run.
type report struct {
	Machine machine      `json:"machine"`
	Setup   setup        `json:"setup"`
	Noise   runs         `json:"noise_floor"` // pairs of runs that are both without the agent
	Plans   []planReport `json:"plans"`
	Figures []figure     `json:"figures"` // set when the report is written
}

type machine struct {
	Time   time.Time `json:"time"`
	Kernel string    `json:"kernel"`
	CPUs   int       `json:"cpus"`
	CPU    string    `json:"cpu"`
	Nginx  string    `json:"nginx"`
}

type setup struct {
	Pairs       int     `json:"pairs"`
	Seconds     float64 `json:"seconds"`
	Rate        int     `json:"fixed_rate_requests_per_s"`
	Connections int     `json:"connections"`
	WrkThreads  int     `json:"wrk_threads"`
	Agent       string  `json:"agent_command"`
}

// runs are the pairs at both kinds of load.
type runs struct {
	FullSpeed []pair[sample] `json:"full_speed"`
	FixedRate []pair[sample] `json:"fixed_rate"`
}

type planReport struct {
	Plan survey.Plan `json:"plan"`
	runs
	Statistics sample `json:"with_run_time_statistics"`
}

func newReport(ctx context.Context, o options) *report {
	return &report{
		Machine: thisMachine(ctx, o.nginx),
		Setup: setup{
			Pairs: o.pairs, Seconds: o.length.Seconds(), Rate: o.rate,
			Connections: o.connections, WrkThreads: o.wrkThreads, Agent: strings.Join(o.agent, " "),
		},
	}
}

// thisMachine describes the machine as far as possible.
func thisMachine(ctx context.Context, nginx string) machine {
	m := machine{Time: time.Now().UTC(), CPUs: runtime.NumCPU(), CPU: cpuModel()}
	var uts unix.Utsname
	if unix.Uname(&uts) == nil {
		m.Kernel = unix.ByteSliceToString(uts.Release[:])
	}
	if version, err := exec.CommandContext(ctx, nginx, "-v").CombinedOutput(); err == nil {
		_, after, _ := strings.Cut(string(version), "nginx version: ")
		m.Nginx = strings.TrimSpace(after)
	}
	return m
}

func cpuModel() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(info)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// save writes the JSON form to a file. It creates the folder of the file.
func (r *report) save(path string) error {
	var b bytes.Buffer
	if err := r.writeJSON(&b); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("save the report: %w", err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		return fmt.Errorf("save the report: %w", err)
	}
	return nil
}

func (r *report) writeJSON(w io.Writer) error {
	r.Figures = r.figures()
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// allMet reports whether all figures met their targets.
func (r *report) allMet() bool {
	for _, f := range r.figures() {
		if f.Target != nil && !f.Target.Met {
			return false
		}
	}
	return true
}
