package sampling

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"lapwing/collectors/request"
)

// stream feeds a sampler with requests, evenly over time, and adds up the
// results by reason.
type stream struct {
	now  request.Stamp
	kept map[string]int
	sum  map[string]float64 // of 1/ratio: an estimate of their number
	over int
}

func newStream() *stream {
	return &stream{now: request.Stamp(time.Hour), kept: map[string]int{}, sum: map[string]float64{}}
}

// run sends perSecond requests per second for a span of time.
func (s *stream) run(sampler *Sampler, perSecond int, span time.Duration, next func(i int) *request.Request) {
	step := request.Stamp(int(time.Second) / perSecond)
	for i := range int(span.Seconds() * float64(perSecond)) {
		s.now += step
		r := next(i)
		took := r.WriteLast
		r.Arrived, r.WriteFirst, r.WriteLast = s.now-took, s.now, s.now
		v := sampler.Decide(r)
		if v.OverBudget() {
			s.over++
		}
		if !v.Kept() {
			continue
		}
		s.kept[v.Reason()]++
		if ratio, ok := v.Ratio(); ok {
			s.sum[v.Reason()] += 1 / ratio
		}
	}
}

// took returns a request of a service with the given status and duration.
func took(d time.Duration, status int) *request.Request {
	r := &request.Request{Service: "shop", Status: status, Stamps: request.Stamps{WriteLast: request.Stamp(d)}}
	request.AssignIDs(r)
	return r
}

func TestBudgetIsKeptAndRatiosScaleBack(t *testing.T) {
	sampler := New(Config{Ratio: 1, KeepFailed: true, MaxSpansPerSecond: 5000})
	s := newStream()
	// 10,000 requests/s of which one in four fails; there is room for 1,000
	// spans.
	const seconds, rate = 10, 10_000
	s.run(sampler, rate, seconds*time.Second, func(i int) *request.Request {
		if i%4 == 0 {
			return took(time.Millisecond, 500)
		}
		return took(time.Millisecond, 200)
	})
	kept := s.kept["failed"] + s.kept["ratio"]
	assert.LessOrEqual(t, kept, 1000*(seconds+1)+100, "the budget, and one second of it at the begin")
	assert.Greater(t, kept, 800*seconds, "the budget is used")
	assert.InDelta(t, s.kept["failed"], s.kept["ratio"], 1500, "both get their part")
	truth := float64(seconds * rate)
	assert.InDelta(t, truth/4, s.sum["failed"], truth/4*.2)
	assert.InDelta(t, truth*3/4, s.sum["ratio"], truth*3/4*.2)
	assert.Less(t, s.over, 1500, "only the first moment is cut off, the rest is thinned out")
}

func TestBudgetLeavesSmallDemandsAlone(t *testing.T) {
	sampler := New(Config{Ratio: 1, KeepFailed: true, MaxSpansPerSecond: 5000})
	s := newStream()
	s.run(sampler, 10_000, 5*time.Second, func(i int) *request.Request {
		if i%200 == 0 {
			return took(time.Millisecond, 500)
		}
		return took(time.Millisecond, 200)
	})
	assert.Greater(t, s.kept["failed"], 240-30, "50 failures a second are kept, all but those of the first moment")
	assert.InDelta(t, s.kept["failed"], s.sum["failed"], 30, "with a ratio of 1")
}

func TestBudgetRecovers(t *testing.T) {
	sampler := New(Config{Ratio: 1, MaxSpansPerSecond: 1000})
	flood, calm := newStream(), newStream()
	flood.run(sampler, 20_000, 2*time.Second, func(int) *request.Request { return took(time.Millisecond, 200) })
	calm.now = flood.now
	calm.run(sampler, 100, 20*time.Second, func(int) *request.Request { return took(time.Millisecond, 200) })
	calm.kept = map[string]int{}
	calm.run(sampler, 100, 2*time.Second, func(int) *request.Request { return took(time.Millisecond, 200) })
	assert.Equal(t, 200, calm.kept["ratio"], "all fit")
}

func TestSlowestOfItsOwnService(t *testing.T) {
	sampler := New(Config{Slowest: 0.01})
	s := newStream()
	random := rand.New(rand.NewPCG(1, 2))
	quickSlow, slowSlow := 0, 0
	s.run(sampler, 1000, 20*time.Second, func(i int) *request.Request {
		// Every request of one service takes longer than any request of the
		// other.
		d, name := time.Duration(1e6+random.Float64()*1e6), "quick"
		if i%2 == 0 {
			d, name = time.Duration(1e9+random.Float64()*1e9), "slow"
		}
		if i > 10_000 && i%100 < 1 {
			d = d * 3 // one in a hundred; all of them are of "slow", because i is even
			slowSlow++
		}
		if i > 10_000 && i%100 == 1 {
			d = d * 3
			quickSlow++
		}
		r := took(d, 200)
		r.Service = name
		return r
	})
	assert.InDelta(t, quickSlow+slowSlow, s.kept["slow"], float64(quickSlow+slowSlow)*.7)
	assert.Less(t, s.kept["slow"], 20_000*3/100, "the slowest are few, whatever the service's speed")
}

// TestSlowestDuringAnIncident has a service that becomes ten times slower: the
// requests of the incident are kept until they are the service's normal.
func TestSlowestDuringAnIncident(t *testing.T) {
	sampler := New(Config{Slowest: 0.01})
	s := newStream()
	s.run(sampler, 100, 3*time.Minute, func(int) *request.Request { return took(10*time.Millisecond, 200) })
	assert.Zero(t, s.kept["slow"], "equal ones are not slow")
	s.run(sampler, 100, time.Second, func(int) *request.Request { return took(100*time.Millisecond, 200) })
	assert.Equal(t, 100, s.kept["slow"])
	s.kept = map[string]int{}
	s.run(sampler, 100, 5*time.Minute, func(int) *request.Request { return took(100*time.Millisecond, 200) })
	assert.Less(t, s.kept["slow"], 600)
}

func TestFewRequestsAreNotSlow(t *testing.T) {
	r := newRecent(0.01)
	for i := range recentKnown - 1 {
		assert.False(t, r.isSlow("shop", time.Duration(i)*time.Second, request.Stamp(i+1)))
	}
}

func TestLatencyBucketsAreContiguous(t *testing.T) {
	for i := range latencyBuckets {
		end := latencyEnd(i)
		assert.Equal(t, i, latencyBucket(end-1))
		assert.Equal(t, min(i+1, latencyBuckets-1), latencyBucket(end))
	}
	assert.Equal(t, 0, latencyBucket(-1))
	assert.Equal(t, latencyBuckets-1, latencyBucket(1<<62))
}

func TestParentsThresholdIsKept(t *testing.T) {
	s := New(Config{FollowParent: true})
	for state, want := range map[string]float64{"": 0, "ot=th:8": 0.5, "ot=th:0": 1, "ot=rv:1;th:c": 0.25, "ot=th:": 0, "ot=th:x": 0, "ot=th:123456789abcdef": 0} {
		r := sample()
		r.TraceID, r.ParentSpanID, r.Sampled, r.TraceState = [16]byte{1}, [8]byte{1}, true, []byte(state)
		v := s.Decide(r)
		assert.Equal(t, keptByParent, v.reason)
		ratio, ok := v.Ratio()
		assert.InDelta(t, want, ratio, 1e-12, state)
		assert.Equal(t, want > 0, ok, state)
	}
}

func TestDecidingDoesNotAllocate(t *testing.T) {
	s := New(Config{Ratio: 0.5, KeepFailed: true, FollowParent: true, Slowest: 0.01, MaxSpansPerSecond: 100})
	r := sample()
	s.Decide(r)
	n := testing.AllocsPerRun(1000, func() {
		r.TraceID, r.WriteLast = [16]byte{}, r.WriteLast+request.Stamp(time.Millisecond)
		s.Decide(r)
	})
	assert.Zero(t, n)
}

func BenchmarkDecide(b *testing.B) {
	for _, services := range []int{1, 20} {
		b.Run(fmt.Sprint(services, " services"), func(b *testing.B) {
			s := New(DefaultConfig())
			r, names := sample(), make([]string, services)
			for i := range names {
				names[i] = fmt.Sprint("service ", i)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				r.Service, r.TraceID = names[i%services], [16]byte{}
				r.WriteLast += 1000
				s.Decide(r)
			}
		})
	}
}
