package worker

import (
	"maps"
	"time"

	"lapwing/collectors/request"
)

// observed is the time since when every request of a pool that ends is seen.
// Requests that were in flight or queued when the agent started are not seen. Until
// they are over, requests per second are not known.
type observed struct {
	at    request.Stamp
	fixed bool
	// What had ended by that time, or soon after, and the workers' times.
	served    uint64
	totals    totals
	settled   request.Stamp
	hasTotals bool
}

// settle takes the first times that are known for the observed period.
func (o *observed) settle(m moment) {
	if !o.hasTotals && m.settled >= o.at {
		o.served, o.totals, o.settled, o.hasTotals = m.served, m.totals, m.settled, true
	}
}

// settledFor is how long the requests from before the start must not change until
// those that remain count as stuck.
const settledFor = request.Stamp(500 * time.Millisecond)

// sawEarlier notes a connection with a request from before the start, and reports
// whether the previous look found it, too.
func (p *pool) sawEarlier(conn uint64) bool {
	if p.earlier == nil {
		p.earlier = map[uint64]bool{}
	}
	p.earlier[conn] = true
	return p.earlierBefore[conn]
}

// catchUp checks whether more of the requests from before the start ended between
// the last look and this one.
func (p *pool) catchUp(now request.Stamp) {
	switch {
	case p.observed.fixed:
	case !maps.Equal(p.earlier, p.earlierBefore):
		p.observed = observed{at: now}
		p.past = p.past[:0]
	case now-p.observed.at >= settledFor:
		p.observed.fixed = true
	}
}
