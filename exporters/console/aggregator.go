package console

import (
	"context"
	"strings"
	"sync"
	"time"

	"lapwing/collectors/request"
	"lapwing/exporters"
)

// MaxServices is how many services an Aggregator tells apart. Requests of
// further services count under OtherServices.
const MaxServices = 1000

// OtherServices is the row of the services beyond the limit.
const OtherServices = "other"

// Aggregator counts requests, errors and durations per service from its start
// on. Export is cheap enough for every request of a busy server (some tens of
// nanoseconds). Readers take a Window or the Totals and copy one service at a
// time, so Export waits for microseconds at most. Memory is bounded by the
// number of services: about 50 KiB each, a Window included.
type Aggregator struct {
	started time.Time
	limit   int

	mu     sync.Mutex
	byName map[string]*series
	all    []*series // in order of appearance, only ever appended to
	last   *series   // the series of the previous request: most often the next one's
	folded uint64
}

var _ exporters.Exporter = (*Aggregator)(nil)

// NewAggregator returns an empty Aggregator that tells up to limit services
// apart; 0 means MaxServices.
func NewAggregator(limit int) *Aggregator {
	if limit <= 0 {
		limit = MaxServices
	}
	return &Aggregator{started: time.Now(), limit: limit, byName: make(map[string]*series)}
}

// Export counts one request. It never blocks for long and never drops.
func (a *Aggregator) Export(r *request.Request) {
	bounds := r.Bounds()
	failed := r.Failed()
	a.mu.Lock()
	s := a.last
	if s == nil || s.name != r.Service {
		s = a.seriesOf(r.Service)
	}
	s.add(&bounds, failed)
	a.mu.Unlock()
}

// Shutdown releases nothing: what was counted stays readable for the totals.
func (a *Aggregator) Shutdown(context.Context) error { return nil }

// Folded is how many requests were counted under OtherServices because the
// limit of services was reached.
func (a *Aggregator) Folded() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.folded
}

// seriesOf finds or starts the series of a service. Only a series that stands
// for a single service is remembered as the last one.
func (a *Aggregator) seriesOf(service string) *series {
	if s, ok := a.byName[service]; ok {
		a.last = s
		return s
	}
	if len(a.byName) < a.limit {
		a.last = a.start(strings.Clone(service))
		return a.last
	}
	a.folded++
	if s, ok := a.byName[OtherServices]; ok {
		return s
	}
	return a.start(OtherServices)
}

func (a *Aggregator) start(service string) *series {
	s := &series{name: service}
	a.byName[service] = s
	a.all = append(a.all, s)
	return s
}

// list returns the series there are. Their counts may be read under the lock
// only.
func (a *Aggregator) list() []*series {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.all[:len(a.all):len(a.all)]
}

// series are the counts of one service since the start.
type series struct {
	name     string
	requests uint64
	errors   uint64
	duration histogram
	phases   [request.NumPhases]histogram
}

// add counts one request. A duration or phase that was not measured enters no
// histogram.
func (s *series) add(bounds *request.Bounds, failed bool) {
	s.requests++
	if failed {
		s.errors++
	}
	for p := range request.NumPhases {
		if !bounds.Known(p) {
			return // nor is any later one known
		}
		s.phases[p].record(time.Duration(bounds[p+1] - bounds[p]))
	}
	s.duration.record(time.Duration(bounds[request.NumPhases] - bounds[0]))
}

func (s *series) copyFrom(other *series) {
	s.name, s.requests, s.errors = other.name, other.requests, other.errors
	s.duration.copyFrom(&other.duration)
	for p := range s.phases {
		s.phases[p].copyFrom(&other.phases[p])
	}
}
