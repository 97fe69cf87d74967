package socket

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// adopt finds the connections that are older than the agent and prepares the
// sweeps over quiet ones.
func (p *Probe) adopt() error {
	for _, name := range []string{"tcp_listening", "files_listening", "tcp_existing", "files_existing", "unix_existing"} {
		if err := p.runOnce(name); err != nil {
			return err
		}
	}
	var err error
	if p.gone, err = p.walker("unix_conns", "gone_elem", "gone_unix"); err != nil {
		return err
	}
	for _, t := range p.tables() {
		if err := p.addSweep(t); err != nil {
			return err
		}
	}
	return nil
}

// table is a map of connections.
type table struct {
	name  string
	used  string   // the variable that shows use
	sweep []string // the programs that can sweep it; the kernel has at least one
	see   string   // the program that shows its connections
}

func (p *Probe) tables() []table {
	tcp := table{"tcp_conns", "tcp_used", []string{"idle_elem", "idle_tcp"}, "see_elem"}
	if p.coll.Maps[tcp.name].Type() == ebpf.SkStorage {
		tcp.sweep, tcp.see = []string{"idle_tcp", "idle_files"}, "see_tcp"
	}
	return []table{{"unix_conns", "unix_used", []string{"idle_elem", "idle_unix"}, "see_elem"}, tcp}
}

// walker runs a program for each connection in a map.
type walker interface {
	walk() error
	Close() error
}

// iterWalker is an iterator of the kernel.
type iterWalker struct{ *link.Iter }

func (w iterWalker) walk() error {
	r, err := w.Open()
	if err != nil {
		return fmt.Errorf("open an iterator: %w", err)
	}
	_, err = io.Copy(io.Discard, r)
	return errors.Join(err, r.Close())
}

// callWalker is a program that goes over the map by itself.
type callWalker struct{ *ebpf.Program }

func (w callWalker) walk() error {
	if _, err := w.Run(&ebpf.RunOptions{}); err != nil {
		return fmt.Errorf("run a program over a map: %w", err)
	}
	return nil
}

// Close does nothing: the program belongs to its collection.
func (callWalker) Close() error { return nil }

// walker returns a walker over a map with the first of the programs that was loaded.
func (p *Probe) walker(over string, programs ...string) (walker, error) {
	for _, name := range programs {
		prog := p.coll.Programs[name]
		switch {
		case prog == nil:
			continue
		case prog.Type() == ebpf.Syscall:
			w := callWalker{prog}
			// The library tries once whether the kernel can run programs. That takes
			// privileges that are given up later.
			return w, w.walk()
		case name == "idle_files":
			over = ""
		}
		it, err := p.iterator(name, over)
		if err != nil {
			return nil, err
		}
		return iterWalker{it}, nil
	}
	return nil, fmt.Errorf("none of the programs %v was loaded", programs)
}

// sweepShare is how many times longer than a sweep the pause after it is. If few of very
// many connections are in use, all of them are walked for those few.
const sweepShare = 100

// sweep goes over the connections in a map. The walk visits all that are open; used shows
// whether there is something to find.
type sweep struct {
	walker
	used *ebpf.Variable
	// again is set if the map was in use the last time. The use may have been so
	// recent then that the walk came before its effect.
	again bool
	uses  atomic.Uint64 // how often it was found in use
	cost  Cost
	ended time.Time
}

func (p *Probe) addSweep(t table) error {
	w, err := p.walker(t.name, t.sweep...)
	if err != nil {
		return err
	}
	p.sweeps = append(p.sweeps, &sweep{walker: w, used: p.coll.Variables[t.used]})
	return nil
}

func (s *sweep) inUse() (bool, error) {
	var used uint32
	if err := s.used.Get(&used); err != nil {
		return false, fmt.Errorf("read whether connections were in use: %w", err)
	}
	return used != 0, nil
}

// due reports whether to walk, and starts to watch for use anew: what happens from here
// on counts for the next time.
func (s *sweep) due() (bool, error) {
	used, err := s.inUse()
	if err != nil || !s.cost.Worth(time.Since(s.ended), sweepShare) {
		return false, err
	}
	due := used || s.again
	s.again = used
	if !used {
		return due, nil
	}
	s.uses.Add(1)
	return due, s.used.Set(uint32(0))
}

// run walks if that is due, and reports whether it was.
func (s *sweep) run() (due bool, err error) {
	if due, err = s.due(); due {
		err = errors.Join(err, s.cost.Measure(s.walk))
		s.ended = time.Now()
	}
	return due, err
}

// uses returns a number that grows with the use of connections, as far as the sweeps
// noticed it.
func (p *Probe) uses() (n uint64) {
	for _, s := range p.sweeps {
		n += s.uses.Load()
	}
	return n
}

func (p *Probe) runOnce(program string) error {
	it, err := p.iterator(program, "")
	if it == nil {
		return err
	}
	return errors.Join(iterWalker{it}.walk(), it.Close())
}

// sweep makes the kernel hand out the finished requests of quiet connections.
func (p *Probe) sweep() error {
	var errs []error
	for _, s := range p.sweeps {
		_, err := s.run()
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// restLooks is how many looks for connections that may rest follow the last use of any
// connection: one may be too early, one marks them, and one lets them rest.
const restLooks = 3

// letRest reduces the state of TCP connections that were idle for long. It takes two
// calls: the first marks them.
func (p *Probe) letRest() error {
	if n := p.uses(); n != p.restUses {
		p.restUses, p.restLooks = n, restLooks
	}
	if p.restLooks == 0 {
		return nil
	}
	p.restLooks--
	if !p.restCost.Worth(p.restEvery, sweepShare) {
		p.restCost = Cost{} // once is left out
		return nil
	}
	p.restWalk++
	now := p.coll.Variables["rest_now"]
	if err := now.Set(p.restWalk); err != nil {
		return fmt.Errorf("let idle connections rest: %w", err)
	}
	err := p.restCost.Measure(func() error {
		var errs []error
		for _, s := range p.sweeps {
			errs = append(errs, s.walk())
		}
		return errors.Join(errs...)
	})
	return errors.Join(err, now.Set(uint32(0)))
}

// sweepComplete hands out all that is complete, even if it was quiet only briefly.
func (p *Probe) sweepComplete() error { return p.sweepQuietFor(1) }

// sweepAll is the last sweep. It does not wait for quiet, and hands out what is in
// progress as such.
func (p *Probe) sweepAll() error { return p.sweepQuietFor(0) }

// sweepQuietFor goes over all connections, in use or not: requests that are being read
// are not in `used`.
func (p *Probe) sweepQuietFor(nanoseconds uint64) error {
	if err := p.coll.Variables["idle_ns"].Set(nanoseconds); err != nil {
		return fmt.Errorf("set the idle time of the sweep: %w", err)
	}
	var errs []error
	for _, s := range p.sweeps {
		errs = append(errs, s.walk())
	}
	return errors.Join(errs...)
}
