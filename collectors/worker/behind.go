package worker

import (
	"slices"
	"time"

	"lapwing/collectors/request"
)

// behind watches the other threads of a process of which one thread reads and
// answers all requests, and waits for many connections at once. That is an event
// loop, or it does so for threads that do the work: they never touch a connection,
// and how many they are is not known. What tells is whether they are active when
// there are requests: a thread that works on one sleeps at least once for it.
// What they do at other times is taken off.
type behind struct {
	sleeps map[uint32]uint64 // of each thread, at the last look
	first  request.Stamp     // the first look
	at     request.Stamp     // the last one
	busy   bool              // there were requests since

	open          []spell // in which there may have been requests that are not known yet
	asked, silent spell   // sums: of those with requests, and without
	requests      uint64  // that began after the first look
}

// spell is the time between two looks, and how often the other threads slept in it.
type spell struct {
	from, to request.Stamp
	length   time.Duration
	sleeps   uint64
	asked    bool // there were requests
}

func (s *spell) add(o spell) { s.length, s.sleeps = s.length+o.length, s.sleeps+o.sleeps }

// rests is when a thread that worked on a request is asleep again after its end.
const rests = request.Stamp(50 * time.Millisecond)

// ended takes a request that the thread answered. Such a one can become known
// a good while after its end, and after the threads were asked about.
func (b *behind) ended(r *request.Request) {
	from := r.ReadFirst
	if !from.Seen() {
		from = r.WriteFirst
	}
	for i := range b.open {
		s := &b.open[i]
		s.asked = s.asked || from < s.to && r.WriteLast+rests > s.from
	}
	b.busy = b.busy || r.WriteLast+rests > b.at
	// For an earlier one the others slept before anybody looked.
	if from >= b.first {
		b.requests++
	}
}

// look takes how often each thread has slept by now, and whether a request is in
// flight.
func (b *behind) look(relay uint32, sleeps map[uint32]uint64, inFlight bool, now request.Stamp) {
	defer func() { b.sleeps, b.at, b.busy = sleeps, now, false }()
	if b.sleeps == nil {
		b.first = now
		return
	}
	next := spell{from: b.at, to: now, length: time.Duration(now - b.at), asked: inFlight || b.busy}
	for tid, n := range sleeps {
		if tid != relay {
			next.sleeps += n - min(n, b.sleeps[tid])
		}
	}
	b.open = append(b.open, next)
	for len(b.open) > 0 && b.open[0].to+settleAfter < now {
		s := b.open[0]
		if s.asked {
			b.asked.add(s)
		} else {
			b.silent.add(s)
		}
		b.open = slices.Delete(b.open, 0, 1)
	}
}

// works reports whether other threads may do the work.
func (b *behind) works() bool {
	if len(b.sleeps) < 2 {
		return false
	}
	asked := b.asked
	for _, s := range b.open {
		if s.asked {
			asked.add(s)
		}
	}
	usual := 0.0
	if b.silent.length > 0 {
		usual = float64(b.silent.sleeps) * float64(asked.length) / float64(b.silent.length)
	}
	return 2*(float64(asked.sleeps)-usual) >= float64(b.requests)
}

// lookBehind asks about the threads of processes with one worker that waits for
// many connections; newOnly leaves out those that were asked about before. It takes
// no more than about that time: who is not asked then is asked by the next look.
func (c *Collector) lookBehind(newOnly bool, most time.Duration) {
	c.mu.Lock()
	var all []*worker
	for _, p := range c.pools {
		all = append(all, p.relays()...)
	}
	if newOnly {
		all = slices.DeleteFunc(all, func(w *worker) bool { return w.behind != nil })
	}
	c.mu.Unlock()
	began := time.Now()
	for _, w := range all {
		if time.Since(began) > most {
			return
		}
		sleeps, err := c.opts.Sleeps(w.pid)
		if err != nil {
			continue // it has ended, which shows elsewhere
		}
		c.mu.Lock()
		if w.behind == nil {
			w.behind = &behind{}
		}
		w.behind.look(w.tid, sleeps, w.now.inFlight > 0, c.opts.Now())
		c.mu.Unlock()
	}
}

// relays are the workers that may read and answer for others: each is the only one
// of its process.
func (p *pool) relays() (all []*worker) {
	if p.handsOver {
		return nil
	}
	of := map[uint32]int{}
	for _, w := range p.workers {
		of[w.pid]++
	}
	for _, w := range p.workers {
		switch {
		case of[w.pid] > 1:
			w.behind = nil
		case w.multiplexes:
			all = append(all, w)
		}
	}
	return all
}

// hidden reports whether the workers of the pool are not known: others may do the
// work of those that read and write. So it is until their threads were asked about.
func (p *pool) hidden() bool {
	return slices.ContainsFunc(p.relays(), func(w *worker) bool {
		return w.behind == nil || w.behind.works()
	})
}
