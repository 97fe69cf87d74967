package metrics

import (
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"lapwing/collectors/worker"
)

// maxWorkers is how many workers of a service get series of their own.
const maxWorkers = 256

// WorkerPools is the state of the worker pools as a source. pools is asked
// each time; what it returns is not kept.
func WorkerPools(pools func() []worker.Snapshot) Source {
	return SourceFunc(func(s *Snapshot) {
		for _, p := range pools() {
			s.addListeners(&p)
			if p.Unconfirmed {
				continue // it may be a server of anything; a full backlog is one all the same
			}
			s.addPool(&p)
			s.addWorkers(&p)
		}
	})
}

func (s *Snapshot) addPool(p *worker.Snapshot) {
	for state, n := range map[worker.State]int{worker.Available: p.Available, worker.Busy: p.Busy, worker.Held: p.Held} {
		s.addGauge(Workers, p.Service, n, KeyState.String(string(state)))
	}
	s.addGauge(WorkersMaxBusy, p.Service, p.MaxNeeded)
	s.addActive(p)
	s.addGauge(DispatchLength, p.Service, p.Dispatch)
	for f, d := range map[*Family]time.Duration{WorkerTime: p.WorkerTime, WorkerBusy: p.BusyTime, WorkerCPU: p.CPUTime} {
		s.Add(f, p.Service, began, d.Seconds())
	}
	for f, n := range map[*Family]uint64{
		WorkerRequests: p.Served, WorkerStarted: p.Starts, WorkerEnded: p.Exits, WorkerRecycled: p.Recycled,
	} {
		s.Add(f, p.Service, began, float64(n))
	}
}

// addActive adds the requests in progress with the attributes that the
// conventions want. A scheme is known of HTTP only.
func (s *Snapshot) addActive(p *worker.Snapshot) {
	for method, n := range p.Active {
		attrs := []attribute.KeyValue{semconv.HTTPRequestMethodKey.String(method)}
		if p.HTTP {
			attrs = append(attrs, semconv.URLScheme("http"))
		}
		s.addGauge(ActiveRequests, p.Service, n, attrs...)
	}
}

func (s *Snapshot) addListeners(p *worker.Snapshot) {
	for _, l := range p.Listeners {
		address := KeyAddress.String(l.Address)
		s.addGauge(BacklogLength, p.Service, l.Len, address)
		s.addGauge(BacklogLimit, p.Service, l.Limit, address)
		s.Add(BacklogDropped, p.Service, began, float64(l.Overflows), address)
	}
}

var stateNumbers = map[worker.State]int{worker.Available: 0, worker.Busy: 1, worker.Held: 2, worker.Unknown: 3}

// addWorkers adds each worker and, once each, their processes.
func (s *Snapshot) addWorkers(p *worker.Snapshot) {
	seen := make(map[uint32]bool)
	for _, w := range p.PerWorker[:min(len(p.PerWorker), maxWorkers)] {
		pid := semconv.ProcessPID(int(w.PID))
		if w.TID != 0 {
			s.addGauge(WorkerState, p.Service, stateNumbers[w.State], pid, semconv.ThreadID(int(w.TID)))
		}
		if u := w.Process; u != nil && !seen[w.PID] {
			seen[w.PID] = true
			s.addProcess(p.Service, pid, u)
		}
	}
}
