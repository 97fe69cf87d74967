package agent

import (
	"context"

	"lapwing/collectors/assemble"
	"lapwing/collectors/worker"
	"lapwing/probes/socket"
)

// WatchPools makes the agent keep the worker pools of what it sees. It is to
// be called before Run; the pools are filled once the probes are attached.
func (a *Agent) WatchPools() *worker.Collector {
	if a.pools == nil {
		a.pools = worker.New(worker.Options{Service: a.serves, Ended: assemble.Ended, Log: a.log})
		a.Add("workers", a.pools)
	}
	return a.pools
}

// beginPools takes the pools as they are when the probes were just attached.
func (a *Agent) beginPools(probe *socket.Probe) {
	switch {
	case a.pools == nil:
	case probe.Snapshots():
		a.pools.Watch(probe)
	default:
		a.log.Warn("this kernel does not show requests in flight, held workers and backlogs (lapwing probes tells why)")
	}
}

// runPools keeps the pools up to date, if there are any, until ctx ends.
func (a *Agent) runPools(ctx context.Context) {
	if a.pools != nil {
		go a.pools.Run(ctx)
	}
}

// endPools lets go of the probes, before they are closed.
func (a *Agent) endPools() {
	if a.pools != nil {
		a.pools.Unwatch()
	}
}

// serves names the service of a process and says whether it is of interest.
func (a *Agent) serves(pid uint32, comm string, port uint16) (string, bool) {
	id := a.services.Lookup(pid, comm)
	return id.Name, a.cfg.Filter.Empty() || a.cfg.Filter.Match(pid, port, id)
}
