package worker

import (
	"time"

	"lapwing/collectors/process"
	"lapwing/collectors/request"
)

// worker is what is known of one worker.
type worker struct {
	pool *pool
	pid  uint32
	tid  uint32
	comm string

	// born is its start since boot; 0 until /proc was asked.
	born  time.Duration
	since request.Stamp // its start, or the collector's if that came later

	served   uint64
	longest  time.Duration
	busy     time.Duration // in finished requests
	until    request.Stamp // the end of the last of them
	counted  covered       // what busy is made of
	overlaps int           // requests that it worked on while it did on another

	cpuBase time.Duration // of the thread when it was first looked at
	cpu     time.Duration
	usage   *Process

	now doing

	multiplexes bool    // it waits for many connections at once
	behind      *behind // what is known of the other threads of its process
}

// doing is what a worker does at the moment of a look.
type doing struct {
	inFlight int
	since    request.Stamp // the oldest request's first byte was read; 0 if not known
	from     request.Stamp // the same, as far as the collector was there
	queue    time.Duration
	phase    string
	held     bool
	earlier  bool // the request was in flight at the agent's start: nobody will hand it out
}

// takes adds a request in progress.
func (d *doing) takes(o doing) {
	n := d.inFlight + 1
	if d.inFlight == 0 || o.from < d.from {
		*d = o
	}
	d.inFlight = n
}

// maxOverlaps is how many overlaps make an event loop of a worker.
const maxOverlaps = 2

func (w *worker) loop() bool { return w.overlaps >= maxOverlaps }

// finish takes a finished request into account. handed tells that another
// thread read it.
func (w *worker) finish(r *request.Request, handed bool) {
	w.served++
	if w.behind != nil {
		w.behind.ended(r)
	}
	start, end := r.ReadFirst, r.End()
	alone := !handed && r.Flags&request.Pipelined == 0
	if !alone {
		// It began when the worker was free, or later.
		start = w.counted.free(max(start, handedAt(r, handed)))
	}
	if !start.Seen() || end <= start {
		return
	}
	w.longest = max(w.longest, time.Duration(end-start))
	w.pool.service += time.Duration(end - start)
	w.pool.measured++
	w.until = max(w.until, end)
	if alone && w.counted.forgot(end) {
		w.busy += time.Duration(end - start) // nothing else is known to have been done then
		return
	}
	fresh := w.counted.add(start, end)
	w.busy += fresh
	whole := fresh == time.Duration(end-start)
	if alone && !whole && r.WriteLast.Seen() {
		w.overlaps++
	}
	if whole && !w.loop() {
		w.pool.needed.add(span{start, end, uint64(w.tid)})
	}
}

// handedAt is when the worker may have got a request at the earliest.
func handedAt(r *request.Request, handed bool) request.Stamp {
	if !handed {
		return 0
	}
	return max(r.ReadLast, r.Marker)
}

// busyAt is how long the worker had been busy by a moment, the request in
// progress included. What keeps an event loop busy is the CPU time it uses.
func (w *worker) busyAt(at request.Stamp) time.Duration {
	if w.loop() {
		return w.cpu
	}
	busy := w.busy - w.counted.after(at)
	if from := max(w.now.from, w.until); w.now.inFlight > 0 && at > from {
		busy += time.Duration(at - from)
	}
	return busy
}

func (w *worker) age(now request.Stamp) time.Duration {
	if now < w.since {
		return 0
	}
	return time.Duration(now - w.since)
}

// isStill reports whether a thread is this worker: an id is used again.
func (w *worker) isStill(t process.Thread) bool { return w.born == 0 || w.born == t.Start }

// learn takes what /proc says.
func (w *worker) learn(t process.Thread) {
	if w.born == 0 {
		w.born, w.cpuBase = t.Start, t.CPU
	}
	w.pid, w.comm = t.PID, t.Comm
	w.cpu = t.CPU - w.cpuBase
}

func (w *worker) state() State {
	switch {
	case w.now.inFlight > 0:
		return Busy
	case w.now.held:
		return Held
	}
	return Available
}
