package agent

import (
	"context"

	"kernel.org/pub/linux/libs/security/libcap/cap"

	"lapwing/agent/privilege"
	"lapwing/collectors/assemble"
	"lapwing/collectors/patience"
	"lapwing/collectors/process"
	"lapwing/collectors/worker"
	"lapwing/exporters/health"
)

// pools is the probe that takes snapshots of the worker pools.
type pools struct {
	*Agent
	collector *worker.Collector // nil: no reader needs them
}

// WatchPools makes the agent keep track of the worker pools that it sees. It
// must be called before Run. The pools are filled once the probes are attached.
func (a *Agent) WatchPools() *worker.Collector {
	if !a.pools.wanted() {
		a.pools.collector = worker.New(worker.Options{Service: a.serves, Ended: assemble.Ended, Outstanding: a.assembler.Outstanding,
			Chosen: !a.cfg.Filter.Empty(), Log: a.log,
			Thread: a.thread, Usage: a.usage, Counts: a.listenCounts})
		a.Add("workers", a.pools.collector)
	}
	return a.pools.collector
}

func (p *pools) wanted() bool { return p.collector != nil }

func (p *pools) attach() error { return nil }

// look takes the pools as they are right after the probes were attached.
func (p *pools) look() {
	probe := p.requests.socket
	switch {
	case !p.wanted():
	case probe.Snapshots():
		p.collector.Watch(namedSource{probe, p.services})
	default:
		p.log.Warn("this kernel does not show requests in flight, held workers and backlogs (lapwing probes tells why)")
	}
}

func (p *pools) keeps() []cap.Value { return privilege.Standing() }

// run keeps the pools up to date, if they are wanted, until ctx ends. It does
// not wait for a snapshot in progress, which would be incomplete from then on.
func (p *pools) run(ctx context.Context) error {
	if p.wanted() {
		go p.collector.Run(ctx)
		<-ctx.Done()
		p.collector.Unwatch()
	}
	return nil
}

// end reports that no more records come. Until then, the pools are shown as of
// a moment ago, because the requests of that time may still be in the log.
func (p *pools) end() {
	if p.wanted() {
		p.collector.End()
	}
}

func (p *pools) health(s *health.Sources) {
	if p.wanted() {
		s.Pools = p.collector.Losses()
	}
}

// close detaches the pools from the probes, before these are closed.
func (p *pools) close() error {
	if p.wanted() {
		p.collector.Unwatch()
	}
	return nil
}

// serves returns the service of a process and reports whether it is of
// interest. It does not wait: a process that is not known yet is not of
// interest until it is known.
func (a *Agent) serves(pid uint32, comm string, port uint16) (string, bool) {
	id, known := a.services.Find(pid, comm, 0)
	if !known {
		a.services.Ask(pid, comm)
		return "", false
	}
	if !a.cfg.Filter.Empty() {
		if selected, sure := a.cfg.Filter.Decide(pid, port, id); !selected || !sure {
			return "", false
		}
	}
	return a.services.PoolName(id, port, nil), true
}

// The queries of the worker pools, to processes that may not answer.

func (a *Agent) thread(pid, tid uint32) (process.Thread, error) {
	return patience.Ask(a.asks, question(pid, "thread"), func() (process.Thread, error) { return process.ReadThread(pid, tid) })
}

func (a *Agent) usage(pid uint32) (process.Usage, error) {
	return patience.Ask(a.asks, question(pid, "usage"), func() (process.Usage, error) { return process.Sample(pid) })
}

func (a *Agent) listenCounts(pid, netns uint32) (worker.ListenCounts, error) {
	return patience.Ask(a.asks, question(pid, "network"), func() (worker.ListenCounts, error) { return worker.ReadListenCounts(pid, netns) })
}

func question(pid uint32, what string) patience.Question {
	return patience.Question{PID: pid, Owner: patience.NoOwner, What: what}
}
