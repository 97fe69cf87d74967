package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

//go:embed wrk.lua
var wrkScript []byte

// wrkResult is what wrk.lua prints when wrk has ended.
type wrkResult struct {
	Requests uint64  `json:"requests"`    // completed
	Micros   float64 `json:"duration_us"` // of the whole run
	P99      float64 `json:"p99_us"`      // of the request latency
	Errors   uint64  `json:"errors"`      // of any kind
}

func (r wrkResult) throughput() float64 { return float64(r.Requests) / (r.Micros / 1e6) }

// runWrk loads the server at full speed.
func runWrk(ctx context.Context, opts options, dir, address string) (wrkResult, error) {
	script := filepath.Join(dir, "wrk.lua")
	if err := os.WriteFile(script, wrkScript, 0o600); err != nil {
		return wrkResult{}, err
	}
	cmd := exec.CommandContext(ctx, opts.wrk,
		"-t", strconv.Itoa(opts.wrkThreads), "-c", strconv.Itoa(opts.connections),
		"-d", strconv.Itoa(int(opts.length/time.Second))+"s", "-s", script, "http://"+address+"/")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return wrkResult{}, fmt.Errorf("run wrk (make deps installs it): %w: %s", err, bytes.TrimSpace(out))
	}
	return parseWrk(string(out))
}

func parseWrk(out string) (wrkResult, error) {
	var r wrkResult
	_, line, ok := strings.Cut(out, "wrk-result: ")
	if !ok {
		return r, fmt.Errorf("wrk printed no result: %q", out)
	}
	line, _, _ = strings.Cut(line, "\n")
	if err := json.Unmarshal([]byte(line), &r); err != nil {
		return r, fmt.Errorf("read wrk's result %q: %w", line, err)
	}
	if r.Errors > 0 || r.Requests == 0 || r.Micros <= 0 {
		return r, fmt.Errorf("wrk completed %d requests and had %d errors: the figures would mean nothing", r.Requests, r.Errors)
	}
	return r, nil
}
