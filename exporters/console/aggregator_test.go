package console

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/collectors/request"
)

// truth holds the expected figures of one service, with every single duration.
type truth struct {
	requests, errors uint64
	duration         []time.Duration
	phases           [request.NumPhases][]time.Duration
}

func (w *truth) add(r *request.Request) {
	w.requests++
	if r.Failed() {
		w.errors++
	}
	phases, _ := r.Phases()
	bounds := r.Bounds()
	for p := range phases {
		if bounds.Known(request.Phase(p)) {
			w.phases[p] = append(w.phases[p], phases[p])
		}
	}
	if d, ok := r.Duration(); ok {
		w.duration = append(w.duration, d)
	}
}

func (w *truth) check(t *testing.T, got ServiceStats) {
	t.Helper()
	assert.Equal(t, w.requests, got.Requests, "%s: requests", got.Service)
	assert.Equal(t, w.errors, got.Errors, "%s: errors", got.Service)
	checkStats(t, got.Service+" duration", got.Duration, w.duration)
	for p := range got.Phases {
		checkStats(t, got.Service+" "+request.Phase(p).String(), got.Phases[p], w.phases[p])
	}
}

// mixed returns a request of one of three services, complete or not.
func mixed(random *rand.Rand) *request.Request {
	span := func() time.Duration { return time.Duration(random.ExpFloat64() * 1e6) }
	r := served(fmt.Sprintf("service-%d", random.IntN(3)), "/", 200, span(), span(), span(), span())
	switch random.IntN(6) {
	case 0:
		r.Status = 503
	case 1:
		r.WriteLast, r.Error = 0, "connection_reset"
	case 2:
		r.ReadLast, r.WriteFirst, r.WriteLast, r.Error = 0, 0, 0, "connection_reset"
	case 3:
		r.Arrived = 0
	}
	return r
}

func TestAggregatorAgainstTruth(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	agg := NewAggregator(0)
	window := agg.NewWindow()
	total := map[string]*truth{}
	for range 4 {
		interval := map[string]*truth{}
		for range 3000 {
			r := mixed(random)
			for _, known := range []map[string]*truth{total, interval} {
				if known[r.Service] == nil {
					known[r.Service] = new(truth)
				}
				known[r.Service].add(r)
			}
			agg.Export(r)
		}
		for _, s := range window.Next().Services {
			interval[s.Service].check(t, s)
		}
	}
	services := agg.Totals().Services
	assert.Len(t, services, len(total))
	for i, s := range services {
		total[s.Service].check(t, s)
		if i > 0 {
			assert.LessOrEqual(t, s.Requests, services[i-1].Requests, "%s is busier than the row above", s.Service)
		}
	}
	assert.NoError(t, agg.Shutdown(context.Background()))
}

// TestSumsAreExact checks that the phases add up to the duration to the
// nanosecond, although the histograms round.
func TestSumsAreExact(t *testing.T) {
	agg := NewAggregator(0)
	for i := range 1000 {
		d := time.Duration(i)*time.Millisecond + 1
		agg.Export(served("x", "/", 200, d, d+1, d+2, d+3))
	}
	s := agg.Totals().Services[0]
	var sum time.Duration
	for _, p := range s.Phases {
		sum += p.Sum
	}
	assert.Equal(t, 4*(499500*time.Millisecond+1000)+6*1000, sum, "the sum of the phases")
	assert.Equal(t, sum, s.Duration.Sum, "the phases do not add up to the duration")
}

func TestWindowListsIdleServices(t *testing.T) {
	agg := NewAggregator(0)
	window := agg.NewWindow()
	agg.Export(served("x", "/", 200, 1, 1, 1, 1))
	window.Next()
	table := window.Next()
	assert.Equal(t, []ServiceStats{{Service: "x"}}, table.Services, "an idle service is listed otherwise")
	table.active()
	assert.Empty(t, table.Services, "still there")
	second := agg.NewWindow().Next()
	assert.EqualValues(t, 1, second.Services[0].Requests, "a second window misses what the first has taken: %+v", second.Services)
}

func TestServicesAreBounded(t *testing.T) {
	agg := NewAggregator(2)
	for range 3 {
		for _, service := range []string{"a", "b", "c", "d", "c"} {
			agg.Export(served(service, "/", 200, 1, 1, 1, 1))
		}
	}
	got := map[string]uint64{}
	for _, s := range agg.Totals().Services {
		got[s.Service] = s.Requests
	}
	assert.Equal(t, map[string]uint64{"a": 3, "b": 3, "other": 9}, got)
	assert.EqualValues(t, 9, agg.Folded())
}

// TestAggregatorConcurrently reads while requests come in. Intervals add up to
// the total, and each snapshot shows a single moment.
func TestAggregatorConcurrently(t *testing.T) {
	agg := NewAggregator(0)
	const n = 50_000
	exported := make(chan struct{})
	go func() {
		defer close(exported)
		r := served("x", "/", 200, 10, 20, 30, 40)
		for range n {
			agg.Export(r)
		}
	}()
	window := agg.NewWindow()
	var requests uint64
	for running := true; running; {
		select {
		case <-exported:
			running = false
		default:
		}
		for _, s := range window.Next().Services {
			requests += s.Requests
			require.Equal(t, s.Requests, s.Duration.Count, "torn: %+v", s)
			require.Equal(t, time.Duration(s.Requests)*100, s.Duration.Sum, "torn: %+v", s)
		}
		agg.Totals()
	}
	for _, s := range window.Next().Services {
		requests += s.Requests
	}
	assert.EqualValues(t, n, requests, "requests in the intervals, and exported")
	assert.EqualValues(t, n, agg.Totals().Services[0].Requests, "requests in the total, and exported")
}

// TestExportAllocatesNothing checks the agent's budget: Export creates no
// garbage at full speed.
func TestExportAllocatesNothing(t *testing.T) {
	agg := NewAggregator(0)
	random := rand.New(rand.NewPCG(9, 10))
	requests := make([]*request.Request, 512)
	for i := range requests {
		requests[i] = mixed(random)
		agg.Export(requests[i])
	}
	i := 0
	n := testing.AllocsPerRun(10_000, func() { agg.Export(requests[i%len(requests)]); i++ })
	assert.Zero(t, n, "allocations per request")
}

func BenchmarkExport(b *testing.B) {
	random := rand.New(rand.NewPCG(11, 12))
	span := func() time.Duration { return time.Duration(random.ExpFloat64() * 1e5) }
	requests := make([]*request.Request, 1024)
	for services, name := range map[int]string{1: "one service", 50: "50 services"} {
		for i := range requests {
			requests[i] = served(fmt.Sprintf("service-%d", i%services), "/", 200, span(), span(), span(), span())
		}
		b.Run(name, func(b *testing.B) {
			agg := NewAggregator(0)
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				agg.Export(requests[i%len(requests)])
				i++
			}
		})
	}
}

func BenchmarkWindow(b *testing.B) {
	random := rand.New(rand.NewPCG(13, 14))
	agg := NewAggregator(0)
	window := agg.NewWindow()
	b.ReportAllocs()
	for b.Loop() {
		for range 100 {
			agg.Export(mixed(random))
		}
		window.Next()
	}
}
