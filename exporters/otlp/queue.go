package otlp

import (
	"sync"

	"lapwing/collectors/request"
	"lapwing/exporters/otlp/sampling"
)

// queue is a bounded first-in first-out queue. It owns its items and reuses
// them. It allocates an item only if all earlier ones are waiting.
type queue struct {
	mu      sync.Mutex
	ring    []*item // the waiting items, starting at head
	head    int
	waiting int
	free    []*item
	closed  bool
}

// pushed is the result of a push.
type pushed uint8

const (
	pushedOK    pushed = iota
	pushedBatch        // and now a whole batch is waiting
	pushedFull
	pushedClosed
)

func newQueue(size int) *queue { return &queue{ring: make([]*item, size)} }

// push adds a copy of r. It never waits for a consumer, which holds the lock
// only to move pointers. batch is the number of items at which push returns
// pushedBatch.
func (q *queue) push(r *request.Request, v sampling.Verdict, batch int) pushed {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return pushedClosed
	}
	if q.waiting == len(q.ring) {
		return pushedFull
	}
	it := q.unused()
	it.fill(r, v)
	q.ring[(q.head+q.waiting)%len(q.ring)] = it
	q.waiting++
	if q.waiting%batch == 0 {
		return pushedBatch
	}
	return pushedOK
}

func (q *queue) unused() *item {
	if n := len(q.free); n > 0 {
		it := q.free[n-1]
		q.free = q.free[:n-1]
		return it
	}
	return new(item)
}

// take appends up to n waiting items to items, if at least atLeast wait.
func (q *queue) take(items []*item, atLeast, n int) []*item {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.waiting < atLeast {
		return items
	}
	for range min(n, q.waiting) {
		items = append(items, q.ring[q.head])
		q.ring[q.head] = nil
		q.head = (q.head + 1) % len(q.ring)
		q.waiting--
	}
	return items
}

// release returns items for use by later pushes.
func (q *queue) release(items []*item) {
	for _, it := range items {
		it.clear()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, it := range items {
		if len(q.free)+q.waiting < len(q.ring) {
			q.free = append(q.free, it)
		}
	}
}

// close makes later pushes fail.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
}

// length returns the number of waiting items.
func (q *queue) length() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.waiting
}
