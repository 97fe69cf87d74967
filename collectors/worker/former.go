package worker

import "lapwing/collectors/request"

// maxFormer bounds how many workers that have ended are remembered.
const maxFormer = 1024

// formers are the workers that ended last, by thread id. A request becomes
// known when its connection is done or quiet, which may be after its worker
// has ended: it must not bring the worker back, to start and to end again.
type formers struct {
	byTID map[uint32]former
	order []former // the oldest first
}

// former is a worker that has ended, and when that was noticed.
type former struct {
	*worker
	at request.Stamp
}

func (f *formers) put(w *worker, at request.Stamp) {
	if f.byTID == nil {
		f.byTID = map[uint32]former{}
	}
	if len(f.order) >= maxFormer {
		if oldest := f.order[0]; f.byTID[oldest.tid] == oldest {
			delete(f.byTID, oldest.tid)
		}
		f.order = append(f.order[:0], f.order[1:]...)
	}
	one := former{w, at}
	f.order, f.byTID[w.tid] = append(f.order, one), one
}

// at finds the worker of a pool that had the thread id at a moment and has
// ended since; nil when there is none.
func (f *formers) at(p *pool, tid uint32, then request.Stamp) *worker {
	if w, ok := f.byTID[tid]; ok && w.pool == p && then <= w.at {
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
