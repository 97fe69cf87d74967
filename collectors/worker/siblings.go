package worker

import (
	"slices"
	"time"

	"lapwing/collectors/request"
)

// siblings watches the other threads of a process in which one thread reads and
// answers all requests and waits for many connections at once. Either this thread
// is an event loop, or it does so for threads that do the work. Such threads never
// touch a connection, and their number is not known. They are recognised by being
// active when there are requests: a thread that works on a request sleeps at least
// once for it. What they do at other times is subtracted.
type siblings struct {
	sleeps map[uint32]uint64 // of each thread, at the last look
	first  request.Stamp     // time of the first look
	at     request.Stamp     // time of the last look
	busy   bool              // there were requests since the last look

	open          []spell // spells that may have had requests which are not known yet
	asked, silent spell   // sums of the spells with requests, and of those without
	requests      uint64  // that started after the first look
}

// spell is the time between two looks. sleeps is how often the other threads slept
// in it.
type spell struct {
	from, to request.Stamp
	length   time.Duration
	sleeps   uint64
	asked    bool // there were requests
}

func (s *spell) add(o spell) { s.length, s.sleeps = s.length+o.length, s.sleeps+o.sleeps }

// rests is the time after the end of a request within which a thread that worked on
// it is asleep again.
const rests = request.Stamp(50 * time.Millisecond)

// ended takes a request that the thread answered. The request can become known some
// time after its end, and after the sleeps of the threads were read.
func (b *siblings) ended(r *request.Request) {
	from := r.ReadFirst
	if !from.Seen() {
		from = r.WriteFirst
	}
	for i := range b.open {
		s := &b.open[i]
		s.asked = s.asked || from < s.to && r.WriteLast+rests > s.from
	}
	b.busy = b.busy || r.WriteLast+rests > b.at
	// The other threads slept for earlier requests before the first look.
	if from >= b.first {
		b.requests++
	}
}

// look takes how often each thread has slept until now, and whether a request is in
// flight.
func (b *siblings) look(relay uint32, sleeps map[uint32]uint64, inFlight bool, now request.Stamp) {
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
func (b *siblings) works() bool {
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

// lookAtSiblings reads the sleeps of the threads in processes with one worker that
// waits for many connections. With newOnly it reads only those that were not read
// before. It stops after about the time most. The next look reads the rest.
func (c *Collector) lookAtSiblings(newOnly bool, most time.Duration) {
	c.mu.Lock()
	var all []*worker
	for _, p := range c.pools {
		all = append(all, p.relays()...)
	}
	if newOnly {
		all = slices.DeleteFunc(all, func(w *worker) bool { return w.siblings != nil })
	}
	c.mu.Unlock()
	began := time.Now()
	for _, w := range all {
		if time.Since(began) > most {
			return
		}
		sleeps, err := c.opts.Sleeps(w.pid)
		if err != nil {
			continue // the process has ended, which is noticed elsewhere
		}
		c.mu.Lock()
		if w.siblings == nil {
			w.siblings = &siblings{}
		}
		w.siblings.look(w.tid, sleeps, w.now.inFlight > 0, c.opts.Now())
		c.mu.Unlock()
	}
}

// relays returns the workers that may read and answer for other threads. Each is
// the only worker of its process.
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
			w.siblings = nil
		case w.multiplexes:
			all = append(all, w)
		}
	}
	return all
}

// hidden reports whether the workers of the pool are unknown, because other threads
// may do the work of those that read and write. It is also true before the sleeps
// of the threads were read.
func (p *pool) hidden() bool {
	return slices.ContainsFunc(p.relays(), func(w *worker) bool {
		return w.siblings == nil || w.siblings.works()
	})
}
