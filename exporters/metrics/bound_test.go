package metrics

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/collectors/request"
	"lapwing/collectors/worker"
	"lapwing/exporters/health"
)

// count returns the number of time series of a snapshot, counted from its
// points.
func count(s *Snapshot) (n int) {
	for _, f := range s.Families {
		for _, p := range f.Points {
			n++
			if f.Kind == KindHistogram {
				n += len(p.Classic) + 1 // the sum and the count, instead of the point
			}
		}
	}
	return n
}

// whole returns a request with every part, both sizes, and a duration of its
// own.
func whole(i, services, routes int) *request.Request {
	r := finished(fmt.Sprint("service", i%services))
	r.Route = fmt.Sprint("/route", i/services%routes)
	r.Acked = r.WriteLast + request.Stamp(time.Millisecond)
	r.WriteLast += request.Stamp(i)
	r.Detail = sized{100, 200}
	return r
}

// TestSeriesAreBounded feeds the requests of thousands of services, and pools
// with thousands of workers: all series together stay below the bound, and the
// sums over all of them are exact.
func TestSeriesAreBounded(t *testing.T) {
	for _, tt := range []struct{ most, services, routes, pools, workers, listeners int }{
		{100_000, 2600, 3, 128, 16, 1},
		{100_000, 3, 600, 3, 2000, 40},
		{MinSeries, 5000, 1, 128, 2048 / 16, 30},
		{50_000, 40, 40, 0, 0, 0},
		{400_000, 2600, 1, 128, 64, 3},
	} {
		t.Run(fmt.Sprint(tt), func(t *testing.T) {
			a := New(Config{MaxLabelSets: MaxLabelSets, MaxSeries: tt.most})
			a.AddSource(Health(func() health.Health { return health.Health{} }))
			a.AddSource(Self())
			a.AddSource(WorkerPools(func() []worker.Snapshot { return hostPools(tt.pools, tt.workers, tt.listeners) }))
			requests, nanoseconds := tt.services*tt.routes*2, uint64(0)
			for i := range requests {
				r := whole(i, tt.services, tt.routes)
				nanoseconds += uint64(r.WriteLast - r.Arrived)
				a.Export(r)
			}
			s := read(a)
			require.LessOrEqual(t, count(s), tt.most)
			require.Greater(t, count(s), min(tt.most/2, tt.services*setCost), "the bound is made use of")
			require.Equal(t, count(s), s.size)

			var counted, parts, total, phases uint64
			for _, at := range a.byKey {
				counted += at.duration.count
				total += at.duration.sum
				for i := range at.phases {
					phases += at.phases[i].sum
				}
			}
			for _, p := range s.of(PartDuration) {
				if attrs(p)["part"] == "drain" {
					parts += p.Count
				}
			}
			assert.EqualValues(t, requests, counted)
			assert.EqualValues(t, requests, parts, "the parts of requests without series of their own are counted as well")
			assert.Equal(t, nanoseconds, total, "to the nanosecond")
			assert.Equal(t, nanoseconds, phases)
			checkPools(t, s, tt.pools, tt.workers, tt.listeners)
		})
	}
}

func hostPools(pools, workers, listeners int) (all []worker.Snapshot) {
	for i := range pools {
		p := worker.Snapshot{Service: fmt.Sprint("service", i), Workers: workers, Available: workers, Active: map[string]int{"GET": 0}, HTTP: true}
		for l := range listeners {
			p.Listeners = append(p.Listeners, worker.Listener{Address: fmt.Sprintf("127.0.0.1:%d", 1000+l), Len: 1, Limit: 100, Overflows: 2})
		}
		for w := range workers {
			id := uint32(1 + i*workers + w)
			p.PerWorker = append(p.PerWorker, worker.Worker{PID: id, TID: id, State: worker.Available,
				Process: &worker.Process{CPUTime: time.Second, RSS: 1 << 20, Threads: 2, Descriptors: 9}})
		}
		all = append(all, p)
	}
	return all
}

// checkPools adds up the known values of the listeners and processes.
func checkPools(t *testing.T, s *Snapshot, pools, workers, listeners int) {
	t.Helper()
	sum := func(f *Family) (v float64) {
		for _, p := range s.of(f) {
			if p.Service != AgentService {
				v += p.Value
			}
		}
		return v
	}
	assert.EqualValues(t, pools*workers, sum(Workers))
	assert.EqualValues(t, pools*listeners, sum(BacklogLength))
	assert.EqualValues(t, pools*listeners*2, sum(BacklogDropped))
	assert.EqualValues(t, pools*workers<<20, sum(ProcessMemory))
	assert.EqualValues(t, pools*workers*2, sum(ProcessThreads))
}

// TestRoomComesBack checks that label sets without a request for a long time
// are evicted.
func TestRoomComesBack(t *testing.T) {
	a := New(Config{MaxLabelSets: MaxLabelSets, MaxSeries: MinSeries})
	fill := func(name string, at request.Stamp) {
		for i := range 300 {
			r := finished(fmt.Sprint(name, i))
			for _, s := range []*request.Stamp{&r.Accepted, &r.Arrived, &r.ReadFirst, &r.ReadLast, &r.WriteFirst, &r.WriteLast} {
				*s += at
			}
			a.Export(r)
		}
	}
	own := func(name string) (n int) {
		for _, p := range read(a).of(RequestDuration) {
			if p.Service == name+"0" {
				n++
			}
		}
		return n
	}
	fill("old", 0)
	require.Positive(t, a.overflowed.Load())
	require.Equal(t, 1, own("old"))
	fill("new", request.Stamp(2*idleAfter))
	require.Equal(t, 1, own("new"))
	require.Zero(t, own("old"))
	require.LessOrEqual(t, count(read(a)), MinSeries)
}
