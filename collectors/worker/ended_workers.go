package worker

import (
	"github.com/hashicorp/golang-lru/v2/simplelru"

	"lapwing/collectors/request"
)

// maxEndedWorkers limits how many ended workers are remembered.
const maxEndedWorkers = 1024

// endedWorkers are the workers that ended last, by thread id. A request becomes
// known when its connection is closed or quiet, which may be after its worker has
// ended. It must not bring the worker back as one that starts and ends again.
type endedWorkers struct {
	last *simplelru.LRU[uint32, endedWorker]
}

// endedWorker is a worker that has ended, with the time when this was noticed.
type endedWorker struct {
	*worker
	at request.Stamp
}

func newEndedWorkers() endedWorkers {
	last, _ := simplelru.NewLRU[uint32, endedWorker](maxEndedWorkers, nil) // fails only for sizes below one
	return endedWorkers{last}
}

func (f endedWorkers) put(w *worker, at request.Stamp) { f.last.Add(w.tid, endedWorker{w, at}) }

// at returns the worker of a pool that had the thread id at a moment and has ended
// since, or nil.
func (f endedWorkers) at(p *pool, tid uint32, then request.Stamp) *worker {
	if w, ok := f.last.Peek(tid); ok && w.pool == p && then <= w.at {
		return w.worker
	}
	return nil
}

// late takes a request of a worker that has ended.
func (p *pool) late(w *worker, r *request.Request, handed bool) {
	before := w.busy
	w.finish(r, handed)
	if !w.loop() {
		p.gone.busy += w.busy - before
	}
}
