package agent

import (
	"context"

	"lapwing/collectors/assemble"
	"lapwing/collectors/patience"
	"lapwing/collectors/process"
	"lapwing/collectors/worker"
	"lapwing/probes/socket"
)

// WatchPools makes the agent keep the worker pools of what it sees. It is to
// be called before Run; the pools are filled once the probes are attached.
func (a *Agent) WatchPools() *worker.Collector {
	if a.pools == nil {
		a.pools = worker.New(worker.Options{Service: a.serves, Ended: assemble.Ended, Outstanding: a.assembler.Outstanding,
			Chosen: !a.cfg.Filter.Empty(), Log: a.log,
			Thread: a.thread, Usage: a.usage, Counts: a.listenCounts})
		a.Add("workers", a.pools)
	}
	return a.pools
}

// beginPools takes the pools as they are when the probes were just attached.
func (a *Agent) beginPools(probe *socket.Probe) {
	switch {
	case a.pools == nil:
	case probe.Snapshots():
		a.pools.Watch(namedSource{probe, a.services})
	default:
		a.log.Warn("this kernel does not show requests in flight, held workers and backlogs (lapwing probes tells why)")
	}
}

// runPools keeps the pools up to date, if there are any, until ctx ends. Then
// the probes are taken away: what could be seen meanwhile is not whole.
func (a *Agent) runPools(ctx context.Context) {
	if a.pools != nil {
		go a.pools.Run(ctx)
		context.AfterFunc(ctx, a.pools.Unwatch)
	}
}

// unwatchPools lets go of the probes, before they are closed.
func (a *Agent) unwatchPools() {
	if a.pools != nil {
		a.pools.Unwatch()
	}
}

// endPools says that nothing more comes. Before that, what the pools show is
// as of a moment ago: the requests of that time may still be on their way.
func (a *Agent) endPools() {
	if a.pools != nil {
		a.pools.End()
	}
}

// serves names the service of a process and says whether it is of interest. It
// waits for nobody: a process that is not known yet is of none until it is.
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

// The questions of the worker pools, asked of processes that may not answer.

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
