package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"lapwing/tools/child"
)

const (
	serverReady  = "listening on "
	startServer  = 10 * time.Second
	stopPatience = 15 * time.Second
)

// server is a running reference server.
type server struct {
	proc    *child.Child
	address string // as the server prints it, and as the agent shows it
	truth   *truthFile
}

// stage holds the servers that a cell needs: one, or a front end and its
// daemon.
type stage struct {
	entry  *server // where clients connect
	daemon *server // nil if there is none
}

// measured returns the server whose requests are compared.
func (s *stage) measured(a architecture) *server {
	if a.name == archDaemon {
		return s.daemon
	}
	return s.entry
}

// set decides whether a stage can be used for the next cell.
type set struct {
	measured string // architecture
	hop      hop    // the zero hop if there is none
	computes bool   // the server would use all CPUs if allowed
}

// set returns what the cell needs.
func (c combination) set() set {
	s := set{c.arch.name, c.scenario.hop, c.scenario.computes}
	if c.arch.upstream && c.scenario.hop == (hop{}) {
		s.hop = usualHop
	}
	return s
}

// raise starts the servers.
func raise(ctx context.Context, o options, dir string, needs set) (*stage, error) {
	if needs.hop == (hop{}) {
		entry, err := o.start(ctx, dir, needs, needs.measured, "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		return &stage{entry: entry}, nil
	}
	listen := "127.0.0.1:0"
	if needs.hop.transport == transportUnix {
		listen = "unix:" + filepath.Join(dir, needs.hop.protocol+".sock")
	}
	daemon, err := o.start(ctx, dir, needs, archDaemon, listen, "--protocol", needs.hop.protocol)
	if err != nil {
		return nil, err
	}
	entry, err := o.start(ctx, dir, needs, archFront, "127.0.0.1:0", "--upstream", needs.hop.protocol+"://"+daemon.address)
	if err != nil {
		return nil, errors.Join(err, daemon.stop())
	}
	return &stage{entry: entry, daemon: daemon}, nil
}

// stop ends the servers, the front end first.
func (s *stage) stop() error {
	if s == nil {
		return nil
	}
	err := s.entry.stop()
	if s.daemon != nil {
		err = errors.Join(err, s.daemon.stop())
	}
	return err
}

// start starts a server. The measured server gets priority.
func (o options) start(ctx context.Context, dir string, needs set, arch, listen string, more ...string) (*server, error) {
	file := filepath.Join(dir, arch+".truth.jsonl")
	args := append([]string{
		o.refserver, "--arch", arch, "--listen", listen,
		"--workers", strconv.Itoa(o.workers), "--truth", file,
	}, more...)
	start := child.Start
	if o.priority && arch == needs.measured {
		start = func(opts child.Options) (*child.Child, error) { return favoured(opts, needs.computes) }
	}
	var s server
	var err error
	s.proc, err = start(child.Options{Args: args, Ready: serverReady})
	if s.proc == nil {
		return nil, fmt.Errorf("%w: run make build", err)
	}
	line, notReady := s.proc.AwaitReady(ctx, startServer)
	err = errors.Join(err, notReady)
	if err != nil {
		return nil, errors.Join(err, s.stop())
	}
	s.address = strings.TrimPrefix(line, serverReady)
	s.truth = newTruthFile(file)
	return &s, nil
}

func (s *server) stop() error { return s.proc.Stop(stopPatience) }
