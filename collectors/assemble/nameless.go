package assemble

import (
	"time"

	"lapwing/collectors/request"
	"lapwing/collectors/service"
)

const (
	// nameTime is how long a request waits for the name of its process. Normally
	// the name, or the failure to find one, is known earlier, because package
	// patience limits the time for reading it. nameTime matters only when the agent
	// itself gets no CPU.
	nameTime = request.Stamp(500 * time.Millisecond)
	// decideTime is how long a request waits for a better name if the filter needs
	// one.
	decideTime = request.Stamp(2 * time.Second)
	// lastTime is the wait at the end of the agent, for all requests together.
	lastTime = 250 * time.Millisecond
	// maxNameless limits the requests that wait, and maxOfOne those of one process.
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

// await keeps a request until the process that served it is known.
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

// queueUp keeps a request if others of its process wait, and reports whether it did.
// First it passes on those that no longer need to wait.
func (a *Assembler) queueUp(r *request.Request) bool {
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

// nameAll passes on the requests that no longer need to wait.
func (a *Assembler) nameAll(now request.Stamp) {
	for pid, q := range a.nameless.byPID {
		a.name(q, now)
		a.forgetEmpty(pid, q)
	}
}

// name passes on the requests of one process, oldest first.
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

// limit returns how long a request waits.
func (a *Assembler) limit(known bool) request.Stamp {
	if known || a.opts.Filter != nil {
		return decideTime
	}
	return nameTime
}

// settleFor passes on the first request of a process with what is known about it.
// If the filter cannot decide, the request is hidden and counted.
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

// nameLast waits for the names of the last requests when the agent ends: no more
// records come.
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
