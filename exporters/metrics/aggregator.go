package metrics

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"lapwing/collectors/request"
	"lapwing/exporters"
)

// The limits that cannot be configured.
const (
	maxOverflows = 256       // services with a series of their own for requests beyond the limit
	idleAfter    = time.Hour // idle time after which a label set can be evicted
	sweepEvery   = 10 * time.Second
)

// Aggregator counts requests by their label sets.
type Aggregator struct {
	limit   int // of label sets
	most    int // of series in total; 0 means no limit
	sources []Source

	mu        sync.Mutex // guards the fields below
	series    []*series  // nil for an evicted one
	free      []int      // indexes of those
	overflows []*series
	bound     bound
	byKey     map[key]*series
	byService map[string]*parts
	now       request.Stamp // the latest end of a request
	swept     request.Stamp

	overflowed atomic.Uint64 // requests beyond the limit
	untimed    atomic.Uint64
	unsplit    atomic.Uint64
}

var _ exporters.Exporter = (*Aggregator)(nil)

// New returns an Aggregator.
func New(c Config) *Aggregator {
	return &Aggregator{limit: c.MaxLabelSets, most: c.MaxSeries, bound: newBound(c.MaxSeries), byKey: make(map[key]*series), byService: make(map[string]*parts)}
}

// Export counts one request. It only allocates for a new label set or a value
// outside the range seen so far.
func (a *Aggregator) Export(r *request.Request) {
	t, ok := split(r)
	if !ok {
		a.untimed.Add(1)
		return
	}
	if !t.whole {
		a.unsplit.Add(1)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.now = max(a.now, r.End())
	s := a.lookup(keyOf(r))
	s.last = a.now
	s.count(r, t)
}

// Remember makes a request the exemplar of its values, if it was counted and
// has become a trace since.
func (a *Aggregator) Remember(r *request.Request) {
	t, ok := split(r)
	if !ok {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if s, ok := a.byKey[keyOf(r)]; ok { // not one that was counted without its attributes
		s.remember(r, t)
	}
}

// Shutdown has nothing to deliver: snapshots can still be taken.
func (a *Aggregator) Shutdown(context.Context) error { return nil }

// lookup finds or creates the series of a label set.
func (a *Aggregator) lookup(k key) *series {
	if s, ok := a.byKey[k]; ok {
		return s
	}
	if a.hasRoom(k.service) {
		s := a.create(k)
		a.place(s)
		return s
	}
	a.overflowed.Add(1)
	k = key{service: k.service, overflow: true}
	if s, ok := a.byKey[k]; ok {
		return s
	}
	if len(a.overflows) >= maxOverflows || !a.bound.fitsReserve(a.cost(k.service)) {
		k.service = OtherService
		if s, ok := a.byKey[k]; ok {
			return s
		}
	}
	a.bound.reserved += a.cost(k.service)
	s := a.create(k)
	a.overflows = append(a.overflows, s)
	return s
}

// cost returns the number of series that a label set of the service adds.
func (a *Aggregator) cost(service string) int {
	if _, ok := a.byService[service]; ok {
		return setCost
	}
	return setCost + partsCost
}

func (a *Aggregator) create(k key) *series {
	a.bound.used += a.cost(k.service)
	p, ok := a.byService[k.service]
	if !ok {
		p = &parts{start: time.Now()}
		a.byService[k.service] = p
	}
	p.users++
	s := newSeries(k, p)
	a.byKey[k] = s
	return s
}

func (a *Aggregator) place(s *series) {
	if n := len(a.free); n > 0 {
		a.series[a.free[n-1]] = s
		a.free = a.free[:n-1]
		return
	}
	a.series = append(a.series, s)
}

// hasRoom reports whether one more label set may be kept. If not, it first
// evicts label sets that had no request for a long time, such as those of a
// service that is gone.
func (a *Aggregator) hasRoom(service string) bool {
	if a.fits(service) {
		return true
	}
	if since := time.Duration(a.now - a.swept); a.swept.Seen() && since < sweepEvery {
		return false
	}
	a.swept = a.now
	for i, s := range a.series {
		if s == nil {
			continue
		}
		if time.Duration(a.now-s.last) >= idleAfter {
			a.release(i, s)
		}
	}
	return a.fits(service)
}

func (a *Aggregator) fits(service string) bool {
	return (len(a.series) < a.limit || len(a.free) > 0) && a.bound.fits(a.cost(service))
}

func (a *Aggregator) release(i int, s *series) {
	delete(a.byKey, s.key)
	a.bound.used -= setCost
	if s.parts.users--; s.parts.users == 0 {
		delete(a.byService, s.key.service)
		a.bound.used -= partsCost
	}
	a.series[i] = nil
	a.free = append(a.free, i)
}

// labelSets returns the number of label sets that are kept.
func (a *Aggregator) labelSets() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.byKey)
}
