package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"lapwing/tools/load"
)

// bench holds the programs that are running.
type bench struct {
	options
	dir   string
	agent *agent
	stage *stage
	set   set
}

// measure runs the cells one after the other. It returns those that ran, also
// if there is an error. Its children have always ended when it returns.
func measure(ctx context.Context, o options, todo []combination) (cells []cell, err error) {
	dir, err := os.MkdirTemp("", "lapwing-truth-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	b := &bench{options: o, dir: dir}
	defer func() { err = errors.Join(err, b.clear()) }()
	for i, c := range todo {
		if err := b.prepare(ctx, c); err != nil {
			return cells, err
		}
		result, err := b.best(ctx, c)
		if err != nil {
			return cells, fmt.Errorf("%s: %w", c, err)
		}
		progress(i+1, len(todo), c, result)
		cells = append(cells, result)
	}
	return cells, nil
}

// progress prints a line per cell.
func progress(done, of int, c combination, result cell) {
	text := "ok"
	if !result.Within {
		text = result.problems()
	}
	if result.Tries > 1 {
		text += fmt.Sprintf(" (try %d)", result.Tries)
	}
	fmt.Fprintf(os.Stderr, "[%*d/%d]  %s  %s\n", len(fmt.Sprint(of)), done, of, c, text)
}

// prepare starts what the cell needs, unless it already runs for the previous
// cell.
func (b *bench) prepare(ctx context.Context, c combination) error {
	if b.agent == nil || b.agent.plan != c.plan {
		if err := b.clear(); err != nil {
			return err
		}
		var err error
		if b.agent, err = watch(ctx, b.options, c.plan); err != nil {
			return err
		}
	}
	if b.stage != nil && b.set == c.set() {
		return nil
	}
	if err := b.lower(); err != nil {
		return err
	}
	var err error
	b.stage, err = raise(ctx, b.options, b.dir, c.set())
	b.set = c.set()
	return err
}

// lower stops the servers.
func (b *bench) lower() error {
	s := b.stage
	b.stage = nil
	return s.stop()
}

// clear stops the servers and the agent.
func (b *bench) clear() error {
	a := b.agent
	b.agent = nil
	return errors.Join(b.lower(), a.stop())
}

// best runs a cell until its times are within the bounds, or the allowed number
// of tries is reached, and returns the best try. Only a rare late stamp, which
// shows in the p99, can be caused by the machine. A cell with a wrong count or
// a wrong median is returned as it is, because another try would hide the
// error.
func (b *bench) best(ctx context.Context, c combination) (best cell, err error) {
	for try := 1; try <= b.tries; try++ {
		result, err := b.once(ctx, c)
		if err != nil {
			return best, err
		}
		result.Tries = try
		if result.Within || !result.lateOnly() {
			return result, nil
		}
		if try == 1 || result.excess() < best.excess() {
			best = result
		}
		best.Tries = try
	}
	return best, nil
}

// once runs a cell.
func (b *bench) once(ctx context.Context, c combination) (cell, error) {
	target := b.stage.measured(c.arch)
	known := len(b.agent.seen.from(target.address, 0))
	before := b.stage.noise()
	e := evidence{combination: c, workers: b.workers}
	e.result = load.Run(ctx, b.stage.entry.address, c.scenario.script, c.when(b.workers, b.requests))
	if err := ctx.Err(); err != nil {
		return cell{}, err
	}
	e.noise = b.stage.noise().since(before)
	if err := b.gather(&e, target, known); err != nil {
		return cell{}, err
	}
	return e.judge(), nil
}

// settle is the longest wait for the last records. The agent exports a request
// within a second, and the servers write theirs within 50 ms. The rest is for
// machines on which neither gets a CPU.
const settle = 10 * time.Second

// gather waits until all requests of a cell are recorded, or settle is over.
func (b *bench) gather(e *evidence, target *server, known int) error {
	for deadline := time.Now().Add(settle); ; time.Sleep(20 * time.Millisecond) {
		var err error
		if e.account, err = b.stage.accounts(target, e.result.Sent); err != nil {
			return err
		}
		e.records = b.agent.seen.from(target.address, known)
		complete := len(e.records) >= len(e.result.Sent) && len(e.account) >= len(e.result.Sent)
		if complete || time.Now().After(deadline) {
			return nil
		}
	}
}

// accounts joins what clients and servers recorded about the requests. For a
// daemon, the front end is the client.
func (s *stage) accounts(target *server, sent []load.Sent) (map[string]account, error) {
	if err := target.truth.update(); err != nil {
		return nil, err
	}
	if target == s.daemon {
		if err := s.entry.truth.update(); err != nil {
			return nil, err
		}
	}
	accounts := make(map[string]account, len(sent))
	for _, request := range sent {
		a := account{sent: cmp.Or(request.Left, request.Before)}
		var told bool
		if a.Line, told = target.truth.lines[request.ID]; !told {
			continue
		}
		if target == s.daemon {
			front, told := s.entry.truth.lines[request.ID]
			if !told {
				continue
			}
			a.sent = front.UpstreamWriteNS
		}
		accounts[request.ID] = a
	}
	return accounts, nil
}
