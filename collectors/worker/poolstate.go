package worker

import (
	"slices"
	"time"

	"lapwing/collectors/request"
	"lapwing/probes/socket/snapshot"
)

// pool is what is known of the workers of one service.
type pool struct {
	name    string
	workers map[uint32]*worker
	// others are threads that accept or read for the workers.
	others map[uint32]bool
	ports  map[uint16]bool
	paths  map[string]bool

	confirmed bool // a request of a known protocol was seen
	handsOver bool // one thread reads, another writes
	served    uint64
	untracked uint64
	busiest   int // the most workers that a look found busy
	longest   time.Duration
	gone      totals // of workers that have ended
	shown     totals // the last totals that were shown; sums never decrease

	changed                 request.Stamp // time of the last start or exit
	starts, exits, recycled uint64
	newOnes, goneOnes       recent // starts and exits without a counterpart

	needed    peak
	waiting   peak   // in the listen backlog
	lenMax    int    // of listeners that are gone
	drops     uint64 // of listeners that are gone
	listeners map[address]*listener
	past      []moment
	observed  observed
	ends      ends
	service   time.Duration // of finished requests; measured is their number
	measured  uint64

	// As of the last look.
	inFlight   int
	active     active
	dispatch   int
	ahead      int                 // requests that another thread has read for a worker
	threadless []threadlessRequest // requests in progress whose thread is not known

	// Connections with a request from before the start: now, and at the previous
	// look.
	earlier, earlierBefore map[uint64]bool
}

// threadlessRequest is a request in progress in a process, on an unknown thread.
type threadlessRequest struct {
	pid uint32
	doing
}

// totals are sums over workers.
type totals struct{ busy, alive, cpu time.Duration }

func (t totals) atLeast(o totals) totals {
	return totals{max(t.busy, o.busy), max(t.alive, o.alive), max(t.cpu, o.cpu)}
}

// moment is the state of a pool at one time, for figures since then.
type moment struct {
	at      request.Stamp
	settled request.Stamp // the time up to which the totals are complete
	totals
	workers  int
	served   uint64
	system   int // requests that are there: in flight, unread, not accepted
	drops    uint64
	service  time.Duration
	measured uint64
}

// utilisationSpan is the period of the utilisation.
const utilisationSpan = request.Stamp(10 * time.Second)

// Limits of what a pool remembers besides its workers.
const (
	maxOthers    = 4096
	maxAddresses = 64
)

func newPool(name string, started request.Stamp) *pool {
	return &pool{name: name, workers: map[uint32]*worker{}, others: map[uint32]bool{},
		ports: map[uint16]bool{}, paths: map[string]bool{}, listeners: map[address]*listener{},
		active: active{methods: map[string]int{}}, observed: observed{at: started}}
}

// serves notes an address at which the service answers.
func (p *pool) serves(port uint16, path []byte) {
	switch {
	case port != 0 && len(p.ports) < maxAddresses:
		p.ports[port] = true
	case port == 0 && len(path) > 0 && len(p.paths) < maxAddresses:
		if !p.paths[string(path)] { // no allocation if it is known
			p.paths[string(path)] = true
		}
	}
}

func (p *pool) answersAt(port uint16, path []byte) bool {
	if port != 0 {
		return p.ports[port]
	}
	return p.paths[string(path)]
}

// isOther notes a thread that accepts or reads for others and is not a worker. It
// returns false if the thread serves as well.
func (p *pool) isOther(tid uint32) bool {
	if w := p.workers[tid]; tid == 0 || w != nil && w.served > 0 {
		return false
	}
	if len(p.others) >= maxOthers {
		clear(p.others)
	}
	p.others[tid] = true
	return true
}

// sums returns the sums over the present and the former workers, up to a moment
// until which everything is known.
func (p *pool) sums(at request.Stamp) totals {
	t := p.gone
	for _, w := range p.workers {
		t.busy += w.busyAt(at)
		t.alive += w.age(at)
		t.cpu += w.cpu
	}
	p.shown = p.shown.atLeast(t)
	return p.shown
}

// now returns the state of the pool. The times are up to the moment settled, the
// rest is as of now.
func (p *pool) now(now, settled request.Stamp) moment {
	m := moment{
		at: now, settled: settled, totals: p.sums(settled), workers: len(p.workers) + len(p.threadless), served: p.served - min(p.served, p.ends.after(settled)),
		system: p.inFlight + p.dispatch, drops: p.drops, service: p.service, measured: p.measured,
	}
	for _, l := range p.listeners {
		m.system += l.known.len
		m.drops += l.known.drops
	}
	return m
}

// remember stores the state of the pool.
func (p *pool) remember(now, settled request.Stamp) {
	p.past = append(p.past, p.now(now, settled))
	p.observed.settle(p.past[len(p.past)-1])
	for len(p.past) > 2 && now-p.past[1].at >= utilisationSpan {
		p.past = slices.Delete(p.past, 0, 1)
	}
}

// utilisation returns the utilisation of the last seconds, up to the moment m. It
// does not include what a worker did before it was known.
func (p *pool) utilisation(m moment) float64 {
	if len(p.past) == 0 {
		return 0
	}
	before := p.past[0]
	most := time.Duration(max(m.workers, before.workers)) * time.Duration(m.settled-before.settled)
	alive := min(m.alive-before.alive, most)
	if alive <= 0 {
		return 0
	}
	return min(1, float64(m.busy-before.busy)/float64(alive))
}

// bury adds a worker that has ended to the totals.
func (p *pool) bury(w *worker, now request.Stamp) {
	w.now = doing{}
	p.gone.busy += w.busyAt(now)
	p.gone.alive += w.age(now)
	p.gone.cpu += w.cpu
	delete(p.workers, w.tid)
	p.exits++
	p.changed = now
	if p.newOnes.take(now) {
		p.recycled++
	} else {
		p.goneOnes.put(now)
	}
}

// started counts a worker that started while the agent ran.
func (p *pool) started(now request.Stamp) {
	p.starts++
	p.changed = now
	if p.goneOnes.take(now) {
		p.recycled++
	} else {
		p.newOnes.put(now)
	}
}

// listener is an address at which a pool listens.
type listener struct {
	name  string
	known *account
	open  bool // as of the last look
}

func (p *pool) sawListener(l *snapshot.Listener, known *account) {
	at := addressOf(l)
	one := p.listeners[at]
	if one == nil {
		if known == nil || len(p.listeners) >= maxAddresses {
			return
		}
		one = &listener{name: nameOf(l), known: known}
		p.listeners[at] = one
	}
	if one.known != known { // another socket has replaced the last one
		p.drops += one.known.drops
		p.lenMax = max(p.lenMax, one.known.max)
	}
	one.known, one.open = known, true
}

// forgetListeners removes the addresses that have no listening socket any more.
func (p *pool) forgetListeners() {
	for at, l := range p.listeners {
		if !l.open {
			p.drops += l.known.drops
			p.lenMax = max(p.lenMax, l.known.max)
			delete(p.listeners, at)
		}
	}
}
