package assemble

import (
	"time"

	"lapwing/collectors/request"
	"lapwing/collectors/service"
)

const (
	// nameTime is how long a request waits for the name of its process. It is
	// known, for better or worse, after the patience of who reads it: this is for
	// when the agent itself gets no CPU.
	nameTime = request.Stamp(500 * time.Millisecond)
	// decideTime is how long a request waits for a better name where the filter
	// cannot do without.
	decideTime = request.Stamp(2 * time.Second)
	// lastTime is the same at the agent's end, for all together.
	lastTime = 250 * time.Millisecond
	// maxNameless bounds the requests that wait, and maxOfOne those of one process.
	maxNameless = 1 << 13
	maxOfOne    = 1 << 12
)

// nameless are the requests of processes that are not known yet, in the order in
// which each process served them.
type nameless struct {
	byPID map[uint32]*queue
	total int
}

type queue struct{ waiting []waiting }

type waiting struct {
	*request.Request
	since request.Stamp
}

// await keeps a request until it is known who served it.
func (a *Assembler) await(r *request.Request) {
	q := a.nameless.byPID[r.PID]
	if q == nil {
		q = &queue{}
		a.nameless.byPID[r.PID] = q
	}
	a.opts.Services.Ask(r.PID, r.Comm)
	q.waiting = append(q.waiting, waiting{r.Clone(), request.Now()})
	a.nameless.total++
	for len(q.waiting) > maxOfOne || a.nameless.total > maxNameless && len(q.waiting) > 0 {
		a.settleFor(q)
	}
	a.forgetEmpty(r.PID, q)
}

// behind keeps a request back whose process has others waiting, after it has let
// go of those that need not wait any more.
func (a *Assembler) behind(r *request.Request) bool {
	q := a.nameless.byPID[r.PID]
	if q == nil {
		return false
	}
	a.name(q, request.Now())
	if len(q.waiting) == 0 {
		delete(a.nameless.byPID, r.PID)
		return false
	}
	a.await(r)
	return true
}

// nameAll lets go of what need not wait any more.
func (a *Assembler) nameAll(now request.Stamp) {
	for pid, q := range a.nameless.byPID {
		a.name(q, now)
		a.forgetEmpty(pid, q)
	}
}

// name lets go of the requests of one process, the first of them first.
func (a *Assembler) name(q *queue, now request.Stamp) {
	for len(q.waiting) > 0 {
		first := q.waiting[0]
		id, known := a.opts.Services.Find(first.PID, first.Comm, uint64(first.ReadFirst))
		switch {
		case known && a.decide(first.Request, id):
			a.drop(q)
		case now-first.since >= a.limit(known):
			a.settleFor(q)
		case !known:
			a.opts.Services.Ask(first.PID, first.Comm)
			return
		default:
			return
		}
	}
}

// limit is how long a request waits.
func (a *Assembler) limit(known bool) request.Stamp {
	if known || a.opts.Filter != nil {
		return decideTime
	}
	return nameTime
}

// settleFor lets go of the first request of a process with what is known of it.
// What the filter cannot tell from others is not shown, and counted.
func (a *Assembler) settleFor(q *queue) {
	r := q.waiting[0].Request
	id, known := a.opts.Services.Find(r.PID, r.Comm, uint64(r.ReadFirst))
	if !known {
		id = a.unsure(r)
	}
	if !a.decide(r, id) {
		a.counts.undecided.Add(1)
		a.hide(r)
	}
	a.drop(q)
}

func (a *Assembler) unsure(r *request.Request) *service.Identity {
	id := a.opts.Services.ByComm(r.Comm)
	id.Unsure = true
	return id
}

func (a *Assembler) drop(q *queue) {
	q.waiting[0] = waiting{}
	q.waiting = q.waiting[1:]
	a.nameless.total--
}

func (a *Assembler) forgetEmpty(pid uint32, q *queue) {
	if len(q.waiting) == 0 {
		delete(a.nameless.byPID, pid)
	}
}

// nameLast waits for the names of what was served last, at the agent's end: no
// records come any more.
func (a *Assembler) nameLast() {
	for until := time.Now().Add(lastTime); len(a.nameless.byPID) > 0 && time.Now().Before(until); {
		a.nameAll(request.Now())
		if len(a.nameless.byPID) > 0 {
			time.Sleep(time.Millisecond)
		}
	}
	for pid, q := range a.nameless.byPID {
		for len(q.waiting) > 0 {
			a.settleFor(q)
		}
		delete(a.nameless.byPID, pid)
	}
}
