package worker

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"time"

	"lapwing/collectors/request"
)

// Snapshot shows every pool as it is now, the service with most requests
// first. It looks at the connections unless that was done a moment ago.
func (c *Collector) Snapshot() []Snapshot {
	c.lookAround()
	c.mu.Lock()
	defer c.mu.Unlock()
	now, at := c.opts.Now(), time.Now()
	// The pools are as the last look saw them, and so is the time.
	seen := c.seen
	if seen.Seen() && seen < now {
		at = at.Add(-time.Duration(now - seen))
	}
	all := make([]Snapshot, 0, len(c.pools))
	for _, p := range c.pools {
		c.settle(p, now)
		s := p.snapshot(now, seen)
		s.Time = at
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b Snapshot) int {
		return cmp.Or(cmp.Compare(b.Served, a.Served), cmp.Compare(a.Service, b.Service))
	})
	return all
}

// Losses counts what the collector could not take into account, per cause:
// requests of services beyond the limit, and connections that did not fit into
// the last look.
func (c *Collector) Losses() map[string]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return map[string]uint64{"too_many_services": c.full, "too_many_connections": c.cut}
}

func (p *pool) snapshot(now, seen request.Stamp) Snapshot {
	sums := p.sums(now, seen)
	s := Snapshot{
		Service: p.name, Unconfirmed: !p.confirmed,
		InFlight: p.inFlight, Active: maps.Clone(p.active.methods), HTTP: p.active.http, Dispatch: p.dispatch,
		Utilisation: p.utilisation(sums), BusyTime: sums.busy, WorkerTime: sums.alive, CPUTime: sums.cpu,
		Served: p.served, Longest: p.longest, Untracked: p.untracked,
		Starts: p.starts, Exits: p.exits, Recycled: p.recycled,
		PerWorker: []Worker{}, Listeners: []Listener{},
	}
	p.showWorkers(&s, now, seen)
	p.showStrays(&s, seen)
	p.showAhead(&s)
	p.showListeners(&s)
	p.busiest = max(p.busiest, s.Busy)
	s.MaxNeeded = max(p.busiest, p.needed.max)
	return s
}

func (p *pool) showWorkers(s *Snapshot, now, seen request.Stamp) {
	var most, all uint64
	for _, w := range p.workers {
		out := w.show(now, seen)
		switch out.State {
		case Busy:
			s.Busy++
		case Held:
			s.Held++
		}
		most, all = max(most, w.served), all+w.served
		s.PerWorker = append(s.PerWorker, out)
	}
	slices.SortFunc(s.PerWorker, func(a, b Worker) int {
		return cmp.Or(cmp.Compare(a.PID, b.PID), cmp.Compare(a.TID, b.TID))
	})
	s.Workers = len(p.workers)
	if all > 0 {
		s.Uneven = float64(most) * float64(s.Workers) / float64(all)
	}
}

func (w *worker) show(now, seen request.Stamp) Worker {
	out := Worker{
		PID: w.pid, TID: w.tid, Comm: w.comm, State: w.state(), Loop: w.loop(),
		Served: w.served, BusyTime: w.busyAt(seen), CPUTime: w.cpu, Longest: w.longest,
		Since: time.Now().Add(-w.age(now)), Process: w.usage,
	}
	out.does(w.now, seen)
	return out
}

func (w *Worker) does(d doing, seen request.Stamp) {
	w.InFlight, w.Phase, w.Queue = d.inFlight, d.phase, d.queue
	if d.since.Seen() && seen > d.since {
		w.Age = time.Duration(seen - d.since)
	}
}

// showStrays adds the workers of which only a request in progress is known.
func (p *pool) showStrays(s *Snapshot, seen request.Stamp) {
	for _, d := range p.strays {
		w := Worker{PID: d.pid, State: Busy}
		w.does(d.doing, seen)
		w.InFlight = 1
		s.PerWorker = append(s.PerWorker, w)
		s.Workers++
		s.Busy++
	}
}

// showAhead spreads the requests that were read ahead over the workers. Which
// of them has which is not known, unless there are enough for all.
func (p *pool) showAhead(s *Snapshot) {
	free := s.Workers - s.Busy
	if p.ahead == 0 || free == 0 {
		s.Available = free - s.Held
		return
	}
	state := Unknown
	if p.ahead >= free {
		state = Busy
	}
	for i := range s.PerWorker {
		if s.PerWorker[i].State == Available {
			s.PerWorker[i].State = state
		}
	}
	s.Busy += min(p.ahead, free)
	s.Available = max(0, s.Workers-s.Busy-s.Held)
}

func (p *pool) showListeners(s *Snapshot) {
	s.BacklogMax, s.Overflows = p.lenMax, p.drops
	for _, l := range p.listeners {
		out := Listener{Address: l.address(), Len: l.now.Len, Limit: l.now.Limit, Max: l.max, Overflows: l.drops()}
		s.BacklogLen += out.Len
		s.BacklogLimit += out.Limit
		s.BacklogMax = max(s.BacklogMax, out.Max)
		s.Overflows += out.Overflows
		s.Listeners = append(s.Listeners, out)
	}
	s.BacklogMax = max(s.BacklogMax, p.waiting.max)
	slices.SortFunc(s.Listeners, func(a, b Listener) int { return cmp.Compare(a.Address, b.Address) })
}

func (l *listener) address() string {
	if l.now.IsUnix() {
		return request.Endpoint{IsUn: true, Unix: unixPath(l.now.Unix)}.String()
	}
	a := l.now.Address
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()).String()
}
