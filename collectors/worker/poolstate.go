package worker

import (
	"slices"
	"time"

	"lapwing/collectors/request"
	"lapwing/probes/socket"
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
	shown     totals // the last that was shown: sums never decrease

	starts, exits, recycled uint64
	newOnes, goneOnes       recent // starts and exits without a counterpart

	needed    peak
	waiting   peak   // in the listen backlog
	lenMax    int    // of listeners that are gone
	drops     uint64 // the same
	listeners map[uint64]*listener
	past      []moment

	// As of the last look.
	inFlight int
	active   active
	dispatch int
	ahead    int     // requests that another thread has read for a worker
	strays   []stray // requests in progress whose thread is not known
}

// stray is a request in progress of a process of which no thread is known.
type stray struct {
	pid uint32
	doing
}

// totals are sums over workers.
type totals struct{ busy, alive, cpu time.Duration }

func (t totals) atLeast(o totals) totals {
	return totals{max(t.busy, o.busy), max(t.alive, o.alive), max(t.cpu, o.cpu)}
}

// moment remembers totals, for the utilisation since then.
type moment struct {
	at request.Stamp
	totals
}

// utilisationSpan is the time over which utilisation is told.
const utilisationSpan = request.Stamp(10 * time.Second)

// Limits of what a pool remembers besides its workers.
const (
	maxOthers    = 4096
	maxAddresses = 64
)

func newPool(name string) *pool {
	return &pool{name: name, workers: map[uint32]*worker{}, others: map[uint32]bool{},
		ports: map[uint16]bool{}, paths: map[string]bool{}, listeners: map[uint64]*listener{},
		active: active{methods: map[string]int{}}}
}

// serves notes an address at which the service answers.
func (p *pool) serves(port uint16, path []byte) {
	switch {
	case port != 0 && len(p.ports) < maxAddresses:
		p.ports[port] = true
	case port == 0 && len(path) > 0 && len(p.paths) < maxAddresses:
		if !p.paths[string(path)] { // no allocation when it is known
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

// isOther notes a thread that accepts or reads for others and is no worker,
// unless it serves as well.
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

// sums adds up the workers that are and those that were. What was in progress
// at the last look, at the moment seen, counts up to then.
func (p *pool) sums(now, seen request.Stamp) totals {
	t := p.gone
	for _, w := range p.workers {
		t.busy += w.busyAt(seen)
		t.alive += w.age(now)
		t.cpu += w.cpu
	}
	for _, s := range p.strays {
		if seen > s.from {
			t.busy += time.Duration(seen - s.from)
		}
	}
	p.shown = p.shown.atLeast(t)
	return p.shown
}

// remember keeps totals for the utilisation.
func (p *pool) remember(now, seen request.Stamp) {
	p.past = append(p.past, moment{now, p.sums(now, seen)})
	for len(p.past) > 2 && now-p.past[1].at >= utilisationSpan {
		p.past = slices.Delete(p.past, 0, 1)
	}
}

// utilisation is that of the last seconds, up to the totals t.
func (p *pool) utilisation(t totals) float64 {
	if len(p.past) == 0 {
		return 0
	}
	before := p.past[0].totals
	if t.alive <= before.alive {
		return 0
	}
	return min(1, float64(t.busy-before.busy)/float64(t.alive-before.alive))
}

// bury folds a worker that has ended into the totals.
func (p *pool) bury(w *worker, now request.Stamp) {
	w.now = doing{}
	p.gone.busy += w.busyAt(now)
	p.gone.alive += w.age(now)
	p.gone.cpu += w.cpu
	delete(p.workers, w.tid)
	p.exits++
	if p.newOnes.take(now) {
		p.recycled++
	} else {
		p.goneOnes.put(now)
	}
}

// started counts a worker that began while the agent ran.
func (p *pool) started(now request.Stamp) {
	p.starts++
	if p.goneOnes.take(now) {
		p.recycled++
	} else {
		p.newOnes.put(now)
	}
}

// listener is a listening socket of a pool.
type listener struct {
	now  socket.Listener
	base uint32 // drops when it was first seen
	max  int
	open bool // as of the last look
}

func (l *listener) drops() uint64 { return uint64(l.now.Drops - l.base) }

func (p *pool) sawListener(l socket.Listener) {
	known := p.listeners[l.Socket]
	if known == nil {
		if len(p.listeners) >= maxAddresses {
			return
		}
		known = &listener{base: l.Drops}
		p.listeners[l.Socket] = known
	}
	known.now, known.open = l, true
	known.max = max(known.max, l.Len)
}

// forgetListeners drops the sockets that nobody has open any more.
func (p *pool) forgetListeners() {
	for socket, l := range p.listeners {
		if !l.open {
			p.drops += l.drops()
			p.lenMax = max(p.lenMax, l.max)
			delete(p.listeners, socket)
		}
	}
}
