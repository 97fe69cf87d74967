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

	// born is its start since boot; 0 before /proc was read.
	born  time.Duration
	since request.Stamp // its start, or the collector's if that was later

	served   uint64
	longest  time.Duration
	busy     time.Duration // in finished requests
	until    request.Stamp // the end of the last of them
	counted  covered       // the stretches that make up busy
	overlaps int           // requests that it worked on while it worked on another

	cpuBase time.Duration // CPU time of the thread when it was first read
	cpu     time.Duration
	usage   *Process

	now doing

	multiplexes bool      // it waits for many connections at once
	siblings    *siblings // what is known of the other threads of its process
}

// doing is what a worker does at the moment of a look.
type doing struct {
	inFlight int
	since    request.Stamp // when the oldest request's first byte was read; 0 if not known
	from     request.Stamp // the same, but not before the collector's start
	queue    time.Duration
	phase    string
	held     bool
	earlier  bool // the request was in flight at the agent's start and will never be reported
}

// takes adds a request in progress.
func (d *doing) takes(o doing) {
	n := d.inFlight + 1
	if d.inFlight == 0 || o.from < d.from {
		*d = o
	}
	d.inFlight = n
}

// maxOverlaps is how many overlaps show that a worker is an event loop.
const maxOverlaps = 2

func (w *worker) loop() bool { return w.overlaps >= maxOverlaps }

// finish takes a finished request. handed says that another thread read it.
func (w *worker) finish(r *request.Request, handed bool) {
	w.served++
	if w.siblings != nil {
		w.siblings.ended(r)
	}
	start, end := r.ReadFirst, r.End()
	alone := !handed && r.Flags&request.Pipelined == 0
	if !alone {
		// It started when the worker was free, or later.
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
		w.busy += time.Duration(end - start) // no other work is known for that time
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

// handedAt returns the earliest moment at which the worker can have got a request.
func handedAt(r *request.Request, handed bool) request.Stamp {
	if !handed {
		return 0
	}
	return max(r.ReadLast, r.Marker)
}

// busyAt returns how long the worker had been busy at a moment, including the
// request in progress. For an event loop this is the CPU time that it used.
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

// isStill reports whether a thread is this worker. Ids are reused.
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
