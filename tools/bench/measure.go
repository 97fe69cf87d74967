package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"lapwing/probes/socket/survey"
)

// sample is one run of load.
type sample struct {
	Throughput float64 `json:"requests_per_s"`
	P99        float64 `json:"p99_us,omitempty"` // at full speed only
	Client     uint64  `json:"client_requests"`
	Served     uint64  `json:"nginx_requests"`
	ServerCPU  float64 `json:"nginx_cpu_ns_per_request"`

	Agent *agentSample `json:"agent,omitempty"` // absent in runs without it
}

// agentSample is what the agent did and used during a run.
type agentSample struct {
	Requests    uint64            `json:"requests"`
	Lost        map[string]uint64 `json:"lost"`
	MissedStart map[string]uint64 `json:"missed_start"`
	CPU         float64           `json:"cpu_ns_per_request"`
	Memory      memory            `json:"memory"`
	Programs    []programSample   `json:"programs,omitempty"` // only in the run with statistics
	lost        uint64
}

// load runs one kind of load and returns the client's part of a sample.
type load func(context.Context) (sample, error)

// session is a running benchmark.
type session struct {
	opts  options
	dir   string
	nginx *nginx
}

// measure runs the whole benchmark.
func measure(ctx context.Context, opts options) (*report, error) {
	dir, err := os.MkdirTemp("", "lapwing-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	server, err := startNginx(ctx, opts.nginx, dir)
	if err != nil {
		return nil, err
	}
	s := &session{opts: opts, dir: dir, nginx: server}
	report, err := s.all(ctx)
	return report, errors.Join(err, server.stop())
}

func (s *session) all(ctx context.Context) (*report, error) {
	r := newReport(ctx, s.opts)
	// The first run finds cold caches and CPUs in power saving; its result is
	// discarded.
	if _, err := s.bare(s.fullSpeed)(ctx); err != nil {
		return nil, err
	}
	var err error
	if r.Noise, err = s.pairs(ctx, "noise floor", s.bare); err != nil {
		return nil, err
	}
	for _, plan := range s.opts.plans {
		p := planReport{Plan: plan}
		with := func(l load) load { return s.beside(plan, false, l) }
		if p.runs, err = s.pairs(ctx, "plan "+string(plan), with); err != nil {
			return nil, fmt.Errorf("plan %s: %w", plan, err)
		}
		s.progress("plan %s: time in the probes", plan)
		if p.Statistics, err = s.beside(plan, true, s.fullSpeed)(ctx); err != nil {
			return nil, fmt.Errorf("plan %s: %w", plan, err)
		}
		r.Plans = append(r.Plans, p)
	}
	return r, nil
}

// pairs measures both kinds of load: bare, and as changed by with.
func (s *session) pairs(ctx context.Context, what string, with func(load) load) (r runs, err error) {
	s.progress("%s: %d pairs at full speed", what, s.opts.pairs)
	if r.FullSpeed, err = interleave(ctx, s.opts.pairs, s.bare(s.fullSpeed), with(s.fullSpeed)); err != nil {
		return r, err
	}
	s.progress("%s: %d pairs at %d requests/s", what, s.opts.pairs, s.opts.rate)
	r.FixedRate, err = interleave(ctx, s.opts.pairs, s.bare(s.fixedRate), with(s.fixedRate))
	return r, err
}

func (s *session) progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...)
}

func (s *session) fullSpeed(ctx context.Context) (sample, error) {
	r, err := runWrk(ctx, s.opts, s.dir, s.nginx.address())
	return sample{Throughput: r.throughput(), P99: r.P99, Client: r.Requests}, err
}

func (s *session) fixedRate(ctx context.Context) (sample, error) {
	r, err := runPaced(ctx, s.opts, s.nginx.address())
	return sample{Throughput: r.Rate, Client: r.Requests}, err
}

// bare runs a load without the agent and adds nginx's part of the sample.
func (s *session) bare(l load) load {
	return func(ctx context.Context) (sample, error) {
		servedBefore, err := s.nginx.served(ctx)
		if err != nil {
			return sample{}, err
		}
		cpuBefore, err := cpuTime(s.nginx.worker)
		if err != nil {
			return sample{}, err
		}
		result, err := l(ctx)
		if err != nil {
			return sample{}, err
		}
		cpu, err := cpuTime(s.nginx.worker)
		if err != nil {
			return sample{}, err
		}
		served, err := s.nginx.served(ctx)
		if err != nil {
			return sample{}, err
		}
		result.Served = served - servedBefore
		result.ServerCPU = perRequest(cpu-cpuBefore, result.Served)
		return result, nil
	}
}

// beside runs a load together with the agent.
func (s *session) beside(plan survey.Plan, statistics bool, l load) load {
	return func(ctx context.Context) (sample, error) {
		a, err := startAgent(ctx, s.opts.agent, plan, s.nginx.port)
		if err != nil {
			return sample{}, err
		}
		var usage agentSample
		result, err := s.watched(ctx, a, &usage, statistics, l)
		if err != nil {
			return sample{}, errors.Join(err, a.discard())
		}
		told, err := a.finish()
		usage.Requests, usage.lost = told.requests(), told.lost()
		usage.Lost, usage.MissedStart = told.Lost, told.MissedStart
		result.Agent = &usage
		return result, err
	}
}

// watched runs a load and records what the agent uses meanwhile.
func (s *session) watched(ctx context.Context, a *agent, usage *agentSample, statistics bool, l load) (sample, error) {
	pid := a.proc.PID()
	if statistics {
		meter, err := startMeter(pid)
		if err != nil {
			return sample{}, err
		}
		defer meter.close()
		inner := l
		l = func(ctx context.Context) (sample, error) {
			result, err := inner(ctx)
			if err == nil {
				usage.Programs, err = meter.read()
			}
			return result, err
		}
	}
	cpuBefore, err := cpuTime(pid)
	if err != nil {
		return sample{}, err
	}
	result, err := s.bare(l)(ctx)
	if err != nil {
		return sample{}, err
	}
	cpu, err := cpuTime(pid)
	if err != nil {
		return sample{}, err
	}
	usage.CPU = perRequest(cpu-cpuBefore, result.Served)
	usage.Memory, err = residentMemory(pid)
	return result, err
}

// perRequest returns the time per request in nanoseconds.
func perRequest(d time.Duration, requests uint64) float64 {
	return float64(d) / float64(max(1, requests))
}
