package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// programSample is what one of the agent's eBPF programs did during a run.
type programSample struct {
	Name    string        `json:"name"`
	Runs    uint64        `json:"runs"`
	Runtime time.Duration `json:"run_time_ns"`
}

// meter reads the kernel's run-time statistics of the programs of a process.
// The kernel only keeps them while a process has them enabled, and they cost
// about 25 ns per run of a program. That is why they are measured in a separate
// run.
type meter struct {
	enabled  io.Closer
	programs []*ebpf.Program
	before   []programSample
}

func startMeter(pid int) (*meter, error) {
	ids, err := agentPrograms(pid)
	if err != nil {
		return nil, err
	}
	m := new(meter)
	for _, id := range ids {
		program, err := ebpf.NewProgramFromID(ebpf.ProgramID(id))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open eBPF program %d: %w", id, err), m.close())
		}
		m.programs = append(m.programs, program)
	}
	if m.enabled, err = ebpf.EnableStats(unix.BPF_STATS_RUN_TIME); err != nil {
		return nil, errors.Join(fmt.Errorf("enable eBPF statistics: %w", err), m.close())
	}
	if m.before, err = m.totals(); err != nil {
		return nil, errors.Join(err, m.close())
	}
	return m, nil
}

// read returns what each program did since the meter was started. Programs that
// did not run are left out.
func (m *meter) read() ([]programSample, error) {
	after, err := m.totals()
	if err != nil {
		return nil, err
	}
	var ran []programSample
	for i, p := range after {
		p.Runs -= m.before[i].Runs
		p.Runtime -= m.before[i].Runtime
		if p.Runs > 0 {
			ran = append(ran, p)
		}
	}
	return ran, nil
}

func (m *meter) totals() ([]programSample, error) {
	totals := make([]programSample, len(m.programs))
	for i, program := range m.programs {
		info, err := program.Info()
		if err != nil {
			return nil, fmt.Errorf("ask for an eBPF program: %w", err)
		}
		stats, err := program.Stats()
		if err != nil {
			return nil, fmt.Errorf("read the statistics of %s: %w", info.Name, err)
		}
		totals[i] = programSample{Name: info.Name, Runs: stats.RunCount, Runtime: stats.Runtime}
	}
	return totals, nil
}

func (m *meter) close() error {
	var errs []error
	if m.enabled != nil {
		errs = append(errs, m.enabled.Close())
	}
	for _, program := range m.programs {
		errs = append(errs, program.Close())
	}
	return errors.Join(errs...)
}
