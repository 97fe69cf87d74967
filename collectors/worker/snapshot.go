package worker

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"time"

	"lapwing/collectors/request"
	"lapwing/probes/socket/snapshot"
)

// Snapshot returns every pool as it is now, the service with most requests first.
// It looks at the connections, unless that was done a moment ago.
func (c *Collector) Snapshot() []Snapshot {
	c.lookAround()
	c.visitChanging()
	c.lookAtSiblings(true, forSome)
	c.mu.Lock()
	defer c.mu.Unlock()
	now, clock := c.opts.Now(), time.Now()
	at := clock
	// The pools are as the last look saw them, and so is the time.
	seen := c.seen
	if seen.Seen() && seen < now {
		at = at.Add(-time.Duration(now - seen))
	}
	all := make([]Snapshot, 0, len(c.pools))
	for _, p := range c.pools {
		c.settle(p, now)
		s := p.snapshot(now, seen, c.settled(now), clock)
		s.Time = at
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b Snapshot) int {
		return cmp.Or(cmp.Compare(b.Served, a.Served), cmp.Compare(a.Service, b.Service))
	})
	return all
}

// Since returns the time from which the collector counts.
func (c *Collector) Since() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(time.Duration(c.started) - time.Duration(c.opts.Now()))
}

// Losses counts what the collector could not process, by cause: requests of
// services beyond the limit, and connections that did not fit into the last look.
func (c *Collector) Losses() map[string]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return map[string]uint64{"too_many_services": c.full, "too_many_connections": c.cut}
}

func (p *pool) snapshot(now, seen, settled request.Stamp, at time.Time) Snapshot {
	looked := now
	if seen.Seen() { // what waits is as of the last look
		looked = min(now, seen)
	}
	m := p.now(looked, settled)
	s := Snapshot{
		Service: p.name, Unconfirmed: !p.confirmed,
		InFlight: p.inFlight, Active: maps.Clone(p.active.methods), HTTP: p.active.http, Dispatch: p.dispatch,
		Utilisation: p.utilisation(m), BusyTime: m.busy, WorkerTime: m.alive, CPUTime: m.cpu,
		Served: p.served, Longest: p.longest, Untracked: p.untracked,
		Starts: p.starts, Exits: p.exits, Recycled: p.recycled,
		PerWorker: []Worker{}, Listeners: []Listener{},
	}
	p.showWorkers(&s, now, seen, settled)
	p.showStrays(&s, seen)
	p.showAhead(&s)
	p.showListeners(&s)
	if s.Hidden = p.hidden(); s.Hidden {
		s.conceal()
	}
	p.busiest = max(p.busiest, s.Busy)
	s.MaxBusy = max(p.busiest, p.needed.max)
	if need, least, known := p.need(m); known && !s.Hidden {
		s.Needed, s.NeededAtLeast = &need, least
	}
	then := func(t request.Stamp) time.Time { return at.Add(time.Duration(t) - time.Duration(now)) }
	s.Settled, s.Ended = then(settled), m.served
	if o := &p.observed; o.hasTotals {
		s.Observed = Observed{Settled: then(o.settled), Ended: o.served, BusyTime: o.totals.busy, WorkerTime: o.totals.alive}
	}
	return s
}

// conceal removes what is not known about threads that read for others.
func (s *Snapshot) conceal() {
	s.Loops = 0
	for i := range s.PerWorker {
		s.PerWorker[i].State, s.PerWorker[i].Loop = Unknown, false
	}
}

func (p *pool) showWorkers(s *Snapshot, now, seen, settled request.Stamp) {
	var most, all uint64
	for _, w := range p.workers {
		out := w.show(now, seen, settled)
		switch out.State {
		case Busy:
			s.Busy++
			if out.Loop {
				s.Loops++
			}
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

func (w *worker) show(now, seen, settled request.Stamp) Worker {
	out := Worker{
		PID: w.pid, TID: w.tid, Comm: w.comm, State: w.state(), Loop: w.loop(),
		Served: w.served, BusyTime: w.busyAt(settled), CPUTime: w.cpu, Longest: w.longest,
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
	for _, d := range p.threadless {
		w := Worker{PID: d.pid, State: Busy}
		w.does(d.doing, seen)
		w.InFlight = 1
		s.PerWorker = append(s.PerWorker, w)
		s.Workers++
		s.Busy++
	}
}

// showAhead distributes the requests that were read in advance over the workers.
// Which worker has which is not known, unless there are enough for all.
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
	most := 0
	for _, l := range p.listeners {
		k := l.known
		out := Listener{Address: l.name, Len: k.len, Limit: k.limit, Max: k.max, Overflows: k.drops, AtLeast: k.atLeast}
		s.BacklogLen += out.Len
		s.BacklogLimit += out.Limit
		s.BacklogMax = max(s.BacklogMax, out.Max)
		s.Overflows += out.Overflows
		s.OverflowsAtLeast = s.OverflowsAtLeast || out.AtLeast
		s.Listeners = append(s.Listeners, out)
		most = max(most, k.limit+len(k.sockets)) // the kernel lets one more in
	}
	// Accept takes a connection off the backlog a moment before its return is
	// recorded.
	s.BacklogMax = max(s.BacklogMax, min(p.waiting.max, most))
	slices.SortFunc(s.Listeners, func(a, b Listener) int { return cmp.Compare(a.Address, b.Address) })
}

func nameOf(l *snapshot.Listener) string {
	if l.IsUnix() {
		return request.Endpoint{IsUn: true, Unix: unixPath(l.Unix)}.String()
	}
	return netip.AddrPortFrom(l.Address.Addr().Unmap(), l.Address.Port()).String()
}
