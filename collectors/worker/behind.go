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
	at     request.Stamp
	served uint64
	grew   bool // requests ended in the last spell

	last          spell // whether there were requests then, the next one tells
	asked, silent spell // sums
	requests      uint64
}

// spell is a time, and how often the other threads slept in it.
type spell struct {
	length time.Duration
	sleeps uint64
	asked  bool
}

func (s *spell) add(o spell) { s.length, s.sleeps = s.length+o.length, s.sleeps+o.sleeps }

// look takes how often each thread has slept by now.
func (b *behind) look(w *worker, sleeps map[uint32]uint64, now request.Stamp) {
	defer func() { b.sleeps, b.at, b.served = sleeps, now, w.served }()
	if b.sleeps == nil {
		return
	}
	grew := w.served != b.served
	next := spell{length: time.Duration(now - b.at), asked: grew || b.grew || w.now.inFlight > 0}
	for tid, n := range sleeps {
		if tid != w.tid {
			next.sleeps += n - min(n, b.sleeps[tid])
		}
	}
	b.last.asked = b.last.asked || grew // a request becomes known a little later
	if b.last.asked {
		b.asked.add(b.last)
	} else {
		b.silent.add(b.last)
	}
	b.requests += w.served - b.served
	b.last, b.grew = next, grew
}

// works reports whether other threads may do the work.
func (b *behind) works() bool {
	if len(b.sleeps) < 2 {
		return false
	}
	mine := b.asked
	if b.last.asked {
		mine.add(b.last)
	}
	usual := 0.0
	if b.silent.length > 0 {
		usual = float64(b.silent.sleeps) * float64(mine.length) / float64(b.silent.length)
	}
	return 2*(float64(mine.sleeps)-usual) >= float64(b.requests)
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
		w.behind.look(w, sleeps, c.opts.Now())
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
