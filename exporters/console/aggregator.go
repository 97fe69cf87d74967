package console

import (
	"context"
	"strings"
	"sync"
	"time"

	"lapwing/collectors/request"
	"lapwing/exporters"
)

// MaxServices is the number of services that an Aggregator counts separately.
// Requests of further services count under OtherServices.
const MaxServices = 1000

// OtherServices is the row of the services beyond the limit.
const OtherServices = "other"

// Aggregator counts requests, errors and durations per service since its start.
// Export takes some tens of nanoseconds, which is cheap enough for every
// request of a busy server. Readers take a Window or the Totals and copy one
// service at a time, so Export waits for microseconds at most. The number of
// services bounds the memory: about 50 KiB each, including a Window.
type Aggregator struct {
	started time.Time
	limit   int

	mu     sync.Mutex
	byName map[string]*series
	all    []*series // in order of appearance; only appended to
	last   *series   // the series of the previous request, which is most often that of the next one
	folded uint64
}

var _ exporters.Exporter = (*Aggregator)(nil)

// NewAggregator returns an empty Aggregator that counts at most limit services
// separately; 0 means MaxServices.
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

// Shutdown releases nothing: the counts stay readable for the totals.
func (a *Aggregator) Shutdown(context.Context) error { return nil }

// Folded returns the number of requests that were counted under OtherServices
// because the limit of services was reached.
func (a *Aggregator) Folded() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.folded
}

// seriesOf finds or creates the series of a service. Only a series that stands
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

// list returns all series. Their counts may only be read under the lock.
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

// add counts one request. A duration or phase that was not measured is added to
// no histogram.
func (s *series) add(bounds *request.Bounds, failed bool) {
	s.requests++
	if failed {
		s.errors++
	}
	for p := range request.NumPhases {
		if !bounds.Known(p) {
			return // no later phase is known either
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
