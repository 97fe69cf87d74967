package worker

import (
	"github.com/hashicorp/golang-lru/v2/simplelru"

	"lapwing/collectors/request"
)

// maxEndedWorkers bounds how many workers that have ended are remembered.
const maxEndedWorkers = 1024

// endedWorkers are the workers that ended last, by thread id. A request becomes
// known when its connection is done or quiet, which may be after its worker
// has ended: it must not bring the worker back, to start and to end again.
type endedWorkers struct {
	last *simplelru.LRU[uint32, endedWorker]
}

// endedWorker is a worker that has ended, and when that was noticed.
type endedWorker struct {
	*worker
	at request.Stamp
}

func newEndedWorkers() endedWorkers {
	last, _ := simplelru.NewLRU[uint32, endedWorker](maxEndedWorkers, nil) // fails for sizes below one only
	return endedWorkers{last}
}

func (f endedWorkers) put(w *worker, at request.Stamp) { f.last.Add(w.tid, endedWorker{w, at}) }

// at finds the worker of a pool that had the thread id at a moment and has
// ended since; nil when there is none.
func (f endedWorkers) at(p *pool, tid uint32, then request.Stamp) *worker {
	if w, ok := f.last.Peek(tid); ok && w.pool == p && then <= w.at {
		return w.worker
	}
	return nil
}

// late takes a request of a worker that has ended into account.
func (p *pool) late(w *worker, r *request.Request, handed bool) {
	before := w.busy
	w.finish(r, handed)
	if !w.loop() {
		p.gone.busy += w.busy - before
	}
}
