package socket

import (
	"errors"
	"fmt"
	"io"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// adopt finds the connections that are older than the agent and prepares the
// sweeps over quiet ones.
func (p *Probe) adopt() error {
	for _, name := range []string{"tcp_listening", "tcp_existing", "unix_existing"} {
		if err := p.runOnce(name); err != nil {
			return err
		}
	}
	for program, m := range map[string][]string{"idle_tcp": {"tcp_conns"}, "idle_elem": p.hashes()} {
		for _, name := range m {
			if err := p.addSweep(program, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// hashes are the maps of connections that iter/bpf_map_elem can walk.
func (p *Probe) hashes() []string {
	if p.coll.Maps["tcp_conns"].Type() == ebpf.SkStorage {
		return []string{"unix_conns"}
	}
	return []string{"unix_conns", "tcp_conns"}
}

func (p *Probe) addSweep(program, m string) error {
	prog := p.coll.Programs[program]
	if prog == nil {
		return nil
	}
	it, err := link.AttachIter(link.IterOptions{Program: prog, Map: p.coll.Maps[m]})
	if err != nil {
		return fmt.Errorf("attach the sweep over %s: %w", m, err)
	}
	p.sweeps = append(p.sweeps, it)
	return nil
}

func (p *Probe) runOnce(program string) error {
	prog := p.coll.Programs[program]
	if prog == nil {
		return nil
	}
	it, err := link.AttachIter(link.IterOptions{Program: prog})
	if err != nil {
		return fmt.Errorf("attach the iterator %s: %w", program, err)
	}
	return errors.Join(walk(it), it.Close())
}

// walk runs an iterator's program over all its elements.
func walk(it *link.Iter) error {
	r, err := it.Open()
	if err != nil {
		return fmt.Errorf("open an iterator: %w", err)
	}
	_, err = io.Copy(io.Discard, r)
	return errors.Join(err, r.Close())
}

// sweep makes the kernel hand out the finished requests of quiet connections.
func (p *Probe) sweep() error {
	var errs []error
	for _, it := range p.sweeps {
		errs = append(errs, walk(it))
	}
	return errors.Join(errs...)
}

// sweepAll is the last sweep: it does not wait for quiet.
func (p *Probe) sweepAll() error {
	if err := p.coll.Variables["idle_ns"].Set(uint64(0)); err != nil {
		return fmt.Errorf("end the wait for quiet: %w", err)
	}
	return p.sweep()
}
