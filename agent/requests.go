package agent

import (
	"context"
	"runtime/debug"
	"sync"

	"kernel.org/pub/linux/libs/security/libcap/cap"

	"lapwing/agent/privilege"
	"lapwing/exporters/health"
	"lapwing/probes/marker"
	"lapwing/probes/socket"
)

// requests is the probe that everything else builds on: the programs on the
// sockets, which write a record for each request.
type requests struct {
	*Agent

	mu     sync.Mutex // guards the fields below
	socket *socket.Probe
	last   socket.Stats
}

// attach keeps the heap small meanwhile. While the kernel verifies the programs,
// it takes as much memory again as for the maps. Reading the kernel's types
// leaves garbage.
func (r *requests) attach() error {
	const garbage = 20 // percent
	usual := debug.SetGCPercent(garbage)
	defer func() {
		debug.SetGCPercent(usual)
		debug.FreeOSMemory()
	}()
	probe, err := socket.Open(socket.Options{
		Plan:      r.cfg.Probes.Plan,
		HeadBytes: r.cfg.Probes.HeadBytes,
		RingBytes: int(r.cfg.Probes.RingBytes),
		Ports:     r.ports(),
		Snapshots: r.pools.wanted(),
		NoMarks:   r.cfg.Probes.Markers == marker.Off,
	})
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.socket = probe
	return nil
}

func (r *requests) look() {}

func (r *requests) keeps() []cap.Value { return privilege.Standing() }

func (r *requests) run(ctx context.Context) error {
	return r.socket.Run(ctx, stages{r.assembler, r.stitcher, &r.turns})
}

func (r *requests) health(s *health.Sources) { s.Kernel = r.stats() }

// stats returns the counts of the probes. They are all zero before the probe is
// attached, and stay at the last values after it is closed.
func (r *requests) stats() socket.Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.socket == nil {
		return r.last
	}
	s, err := r.socket.Stats()
	if err != nil {
		r.log.Warn("the probes' counts cannot be read", "error", err)
		return r.last
	}
	r.last = s
	return s
}

// parent asks the probe from which process an ended process was forked.
func (r *requests) parent(pid uint32) uint32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.socket == nil {
		return 0
	}
	return r.socket.Parent(pid)
}

func (r *requests) close() error {
	r.stats() // keeps the last values for later calls
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.socket.Close()
	r.socket = nil
	return err
}

// ports returns the ports that the probe is limited to. What the filter leaves
// out does not need to be measured.
func (a *Agent) ports() []uint16 {
	if ports := a.cfg.Probes.Ports; len(ports) > 0 {
		return ports
	}
	if ports := a.cfg.Filter.Ports; len(ports) <= socket.MaxPorts {
		return ports
	}
	return nil
}
