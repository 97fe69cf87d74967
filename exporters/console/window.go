package console

import (
	"cmp"
	"slices"
	"time"

	"lapwing/collectors/request"
)

// ServiceStats are the figures of one service in one span of time.
type ServiceStats struct {
	Service  string
	Requests uint64
	Errors   uint64
	Duration Stats // of the requests whose duration is known
	Phases   [request.NumPhases]Stats
}

// spent returns the sum of each phase, in nanoseconds.
func (s *ServiceStats) spent() (out [request.NumPhases]uint64) {
	for p := range out {
		out[p] = uint64(s.Phases[p].Sum)
	}
	return out
}

// Table holds the figures of one span of time, per service.
type Table struct {
	At       time.Time     // the end of the span
	Elapsed  time.Duration // its length
	Services []ServiceStats
}

// Rate converts a number of events in the table to events per second.
func (t *Table) Rate(events uint64) float64 {
	if t.Elapsed <= 0 {
		return 0
	}
	return float64(events) / t.Elapsed.Seconds()
}

// total returns the requests and errors of all services.
func (t *Table) total() (requests, errors uint64) {
	for i := range t.Services {
		requests += t.Services[i].Requests
		errors += t.Services[i].Errors
	}
	return requests, errors
}

// active removes the services without a request.
func (t *Table) active() {
	t.Services = slices.DeleteFunc(t.Services, func(s ServiceStats) bool { return s.Requests == 0 })
}

// Window returns the figures of an Aggregator interval by interval. Each reader
// has a Window of its own. It is not safe for concurrent use.
type Window struct {
	from    *Aggregator
	ends    time.Time
	earlier map[*series]*series // as they were when the last interval ended
	now     series              // scratch space
}

// NewWindow returns a Window whose first interval starts with the Aggregator.
func (a *Aggregator) NewWindow() *Window {
	return &Window{from: a, ends: a.started, earlier: make(map[*series]*series)}
}

// Next ends the interval and returns its figures, the busiest service first.
// A service that had requests before and none now is listed with zeros.
func (w *Window) Next() Table {
	at := time.Now()
	t := Table{At: at, Elapsed: at.Sub(w.ends)}
	w.ends = at
	for _, s := range w.from.list() {
		earlier, ok := w.earlier[s]
		if !ok {
			earlier = new(series)
			w.earlier[s] = earlier
		}
		t.Services = append(t.Services, w.advance(s, earlier))
	}
	sortBusiest(t.Services)
	return t
}

func (w *Window) advance(s, earlier *series) ServiceStats {
	if !w.from.snapshot(s, &w.now, earlier.requests) {
		return ServiceStats{Service: s.name}
	}
	stats := w.now.since(earlier)
	earlier.copyFrom(&w.now)
	return stats
}

// Totals returns the figures since the start, the busiest service first.
func (a *Aggregator) Totals() Table {
	at := time.Now()
	t := Table{At: at, Elapsed: at.Sub(a.started)}
	var now, none series
	for _, s := range a.list() {
		if a.snapshot(s, &now, 0) {
			t.Services = append(t.Services, now.since(&none))
		}
	}
	sortBusiest(t.Services)
	return t
}

// snapshot copies a series, unless its number of requests is still the one that
// the reader already knows.
func (a *Aggregator) snapshot(s, to *series, known uint64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s.requests == known {
		return false
	}
	to.copyFrom(s)
	return true
}

// since summarises what s counted after its earlier copy was taken.
func (s *series) since(earlier *series) ServiceStats {
	out := ServiceStats{
		Service:  s.name,
		Requests: s.requests - earlier.requests,
		Errors:   s.errors - earlier.errors,
		Duration: s.duration.since(&earlier.duration),
	}
	for p := range out.Phases {
		out.Phases[p] = s.phases[p].since(&earlier.phases[p])
	}
	return out
}

func sortBusiest(services []ServiceStats) {
	slices.SortFunc(services, func(a, b ServiceStats) int {
		return cmp.Or(cmp.Compare(b.Requests, a.Requests), cmp.Compare(a.Service, b.Service))
	})
}
