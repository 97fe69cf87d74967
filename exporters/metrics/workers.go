package metrics

import (
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"lapwing/collectors/worker"
)

// maxWorkers is the highest number of workers of a service that get series of
// their own.
const maxWorkers = 256

// WorkerPools returns the state of the worker pools as a source. pools is
// called each time, and its result is not kept. The sums of all pools come
// first. The room that is left is shared evenly by the listeners, workers and
// processes of the pools.
func WorkerPools(pools func() []worker.Snapshot) Source {
	return SourceFunc(func(s *Snapshot) {
		all := pools()
		for i := range all {
			// An unconfirmed pool can be a server of any protocol. A full
			// backlog is reported all the same.
			if !all[i].Unconfirmed {
				s.addPool(&all[i])
			}
		}
		for i := range all {
			most := s.room() / (len(all) - i)
			most -= s.addListeners(&all[i], most/2)
			if !all[i].Unconfirmed {
				s.addWorkers(&all[i], most)
			}
		}
	})
}

func (s *Snapshot) addPool(p *worker.Snapshot) {
	if !p.Hidden {
		s.addStates(p)
	}
	if p.Needed != nil {
		s.Add(WorkersNeeded, p.Service, time.Time{}, *p.Needed)
	}
	s.addActive(p)
	s.addGauge(DispatchLength, p.Service, p.Dispatch)
	for f, n := range map[*Family]uint64{
		WorkerRequests: p.Served, WorkerStarted: p.Starts, WorkerEnded: p.Exits, WorkerRecycled: p.Recycled,
	} {
		s.Add(f, p.Service, began, float64(n))
	}
}

// addStates adds the numbers of workers by state.
func (s *Snapshot) addStates(p *worker.Snapshot) {
	// An event loop with requests in flight can take more requests.
	available, busy := p.Available+p.Loops, p.Busy-p.Loops
	for state, n := range map[worker.State]int{worker.Available: available, worker.Busy: busy, worker.Held: p.Held} {
		s.addGauge(Workers, p.Service, n, KeyState.String(string(state)))
	}
	s.addGauge(WorkersMaxBusy, p.Service, p.MaxBusy)
	for f, d := range map[*Family]time.Duration{WorkerTime: p.WorkerTime, WorkerBusy: p.BusyTime, WorkerCPU: p.CPUTime} {
		s.Add(f, p.Service, began, d.Seconds())
	}
}

// addActive adds the requests in flight with the attributes that the
// conventions define. The scheme is only known for HTTP.
func (s *Snapshot) addActive(p *worker.Snapshot) {
	for method, n := range p.Active {
		attrs := []attribute.KeyValue{semconv.HTTPRequestMethodKey.String(method)}
		if p.HTTP {
			attrs = append(attrs, semconv.URLScheme("http"))
		}
		s.addGauge(ActiveRequests, p.Service, n, attrs...)
	}
}

// The numbers of series of a listener, and of a worker with a process of its
// own.
const listenerCost, workerCost = 3, 5

// addListeners adds each listening socket, in at most this number of series,
// and returns the number that it used. Listeners without room are added up.
func (s *Snapshot) addListeners(p *worker.Snapshot, most int) (took int) {
	listeners, before := p.Listeners, s.size
	if fit := most / listenerCost; fit < len(listeners) {
		fit = max(0, fit-1)
		if most >= listenerCost {
			s.addListener(p.Service, KeyOverflow.Bool(true), sumOf(listeners[fit:]))
		}
		listeners = listeners[:fit]
	}
	for _, l := range listeners {
		s.addListener(p.Service, KeyAddress.String(l.Address), l)
	}
	return s.size - before
}

func (s *Snapshot) addListener(service string, which attribute.KeyValue, l worker.Listener) {
	s.addGauge(BacklogLength, service, l.Len, which)
	s.addGauge(BacklogLimit, service, l.Limit, which)
	s.Add(BacklogDropped, service, began, float64(l.Overflows), which)
}

func sumOf(listeners []worker.Listener) (sum worker.Listener) {
	for _, l := range listeners {
		sum.Len += l.Len
		sum.Limit += l.Limit
		sum.Overflows += l.Overflows
	}
	return sum
}

var stateNumbers = map[worker.State]int{worker.Available: 0, worker.Busy: 1, worker.Held: 2, worker.Unknown: 3}

// addWorkers adds each worker and, once each, their processes, in at most this
// number of series. The memory, threads and descriptors of processes without
// room are added up. What the other workers do is in the sums of the pool. So
// is their CPU time: the sum over processes that come and go would not be a
// counter.
func (s *Snapshot) addWorkers(p *worker.Snapshot, most int) {
	fit := min(len(p.PerWorker), maxWorkers, most/workerCost)
	if fit < len(p.PerWorker) {
		fit = min(fit, max(0, most-workerCost)/workerCost)
	}
	seen := make(map[uint32]bool)
	for _, w := range p.PerWorker[:fit] {
		pid := semconv.ProcessPID(int(w.PID))
		if w.TID != 0 {
			s.addGauge(WorkerState, p.Service, stateNumbers[w.State], pid, semconv.ThreadID(int(w.TID)))
		}
		if u := w.Process; u != nil && !seen[w.PID] {
			seen[w.PID] = true
			s.addProcess(p.Service, pid, u)
		}
	}
	if fit < len(p.PerWorker) && most >= workerCost {
		s.addOtherProcesses(p.Service, p.PerWorker[fit:], seen)
	}
}

// addOtherProcesses adds up the processes that have no room for series of their
// own.
func (s *Snapshot) addOtherProcesses(service string, workers []worker.Worker, seen map[uint32]bool) {
	var sum worker.Process
	for _, w := range workers {
		if u := w.Process; u != nil && !seen[w.PID] {
			seen[w.PID] = true
			sum.RSS += u.RSS
			sum.Threads += u.Threads
			sum.Descriptors += u.Descriptors
		}
	}
	if sum.Threads == 0 {
		return
	}
	other := KeyOverflow.Bool(true)
	s.Add(ProcessMemory, service, time.Time{}, float64(sum.RSS), other)
	s.addGauge(ProcessThreads, service, sum.Threads, other)
	s.addGauge(ProcessDescriptors, service, sum.Descriptors, other)
}
