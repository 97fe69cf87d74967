package metrics

import (
	"fmt"
	"math"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/collectors/request"
)

// finished returns a request of 1 s: 100 ms queue, 200 ms parse, 300 ms app and
// 400 ms write_back.
func finished(service string) *request.Request {
	const ms = request.Stamp(time.Millisecond)
	begin := request.Stamp(time.Hour)
	return &request.Request{
		Stamps: request.Stamps{Accepted: begin + 60*ms, Arrived: begin, ReadFirst: begin + 100*ms, ReadLast: begin + 300*ms,
			WriteFirst: begin + 600*ms, WriteLast: begin + 1000*ms},
		Seq: 1, RequestBytes: 300, ResponseBytes: 5000, Service: service, Protocol: "http/1.1", Method: "GET", Status: 200,
	}
}

func aggregator(limit int) *Aggregator { return New(Config{MaxLabelSets: limit}) }

func read(a *Aggregator) *Snapshot {
	s := &Snapshot{Exponential: true}
	a.Read(s)
	return s
}

func (s *Snapshot) of(f *Family) []Point { return s.Families[s.index[f]].Points }

// attrs returns the attributes as a map.
func attrs(p Point) map[string]string {
	all := map[string]string{}
	for _, kv := range p.Attrs.ToSlice() {
		all[string(kv.Key)] = kv.Value.String()
	}
	return all
}

func TestEveryRequestIsInAllItsHistograms(t *testing.T) {
	a := aggregator(10)
	for range 3 {
		a.Export(finished("shop"))
	}
	s := read(a)
	require.Len(t, s.of(RequestDuration), 1)
	p := s.of(RequestDuration)[0]
	assert.Equal(t, "shop", p.Service)
	assert.Equal(t, map[string]string{"http.request.method": "GET", "http.response.status_code": "200",
		"url.scheme": "http", "network.protocol.version": "1.1"}, attrs(p))
	assert.EqualValues(t, 3, p.Count)
	assert.InDelta(t, 3, p.Sum, 1e-12)
	assert.EqualValues(t, 3, p.Classic[9], "exactly 1 s is in the bucket whose bound is 1 s")
	assert.Len(t, p.Classic, len(RequestDuration.Bounds)+1)

	want := map[string]float64{"queue": .3, "parse": .6, "app": .9, "write_back": 1.2}
	require.Len(t, s.of(PhaseDuration), 4)
	for _, p := range s.of(PhaseDuration) {
		assert.InDelta(t, want[attrs(p)["phase"]], p.Sum, 1e-12, attrs(p)["phase"])
		assert.EqualValues(t, 3, p.Count)
	}
	parts := map[string]float64{}
	for _, p := range s.of(PartDuration) {
		parts[attrs(p)["phase"]+"/"+attrs(p)["part"]] = p.Sum
	}
	assert.InDelta(t, .18, parts["queue/backlog"], 1e-12)
	assert.InDelta(t, .12, parts["queue/dispatch"], 1e-12)
}

func TestPhasesAddUpExactly(t *testing.T) {
	a := aggregator(10)
	var total uint64
	for i := range 1000 {
		r := finished("shop")
		r.WriteLast += request.Stamp(i * 7919)
		r.ReadFirst -= request.Stamp(i * 104729 % 99999999)
		total += uint64(r.WriteLast - r.Arrived)
		a.Export(r)
	}
	s := a.byKey[keyOf(finished("shop"))]
	var phases uint64
	for i := range s.phases {
		phases += s.phases[i].sum
	}
	assert.Equal(t, total, s.duration.sum)
	assert.Equal(t, total, phases)
}

func TestInterruptedRequestsCount(t *testing.T) {
	a := aggregator(10)
	r := finished("shop")
	r.WriteFirst, r.WriteLast, r.Status, r.Error = 0, 0, 0, request.ErrorReset
	r.Closed = r.Arrived + request.Stamp(30*time.Second)
	a.Export(r)
	s := read(a)
	p := s.of(RequestDuration)[0]
	assert.InDelta(t, 30, p.Sum, 1e-9)
	assert.Equal(t, "connection_reset", attrs(p)["error.type"])
	assert.NotContains(t, attrs(p), "http.response.status_code")
	sum := 0.0
	for _, p := range s.of(PhaseDuration) {
		sum += p.Sum
		if attrs(p)["phase"] == "app" {
			assert.InDelta(t, 29.7, p.Sum, 1e-9, "the client waited for the application")
		}
	}
	assert.Len(t, s.of(PhaseDuration), 3, "nothing was written")
	assert.InDelta(t, 30, sum, 1e-9)
}

func TestMissingStampsAreNotGuessed(t *testing.T) {
	a := aggregator(10)
	untimed := finished("shop")
	untimed.Arrived = 0
	a.Export(untimed)
	unsplit := finished("shop")
	unsplit.ReadLast = 0
	a.Export(unsplit)
	s := read(a)
	assert.EqualValues(t, 1, s.of(RequestDuration)[0].Count)
	assert.InDelta(t, 1, s.of(RequestDuration)[0].Sum, 1e-12)
	assert.Empty(t, s.of(PhaseDuration))
	assert.EqualValues(t, 1, s.of(AgentUntimed)[0].Value)
	assert.EqualValues(t, 1, s.of(AgentUnsplit)[0].Value)
}

type sized struct{ request, response int }

func (s sized) HeadSizes() (int, int) { return s.request, s.response }
func (s sized) Clone() request.Detail { return s }

func TestBodySizesLeaveOutTheHeads(t *testing.T) {
	a := aggregator(10)
	r := finished("shop")
	r.Detail = sized{300, 0}
	a.Export(r)
	s := read(a)
	assert.Zero(t, s.of(RequestBodySize)[0].Sum)
	assert.EqualValues(t, 1, s.of(RequestBodySize)[0].Zero)
	assert.Empty(t, s.of(ResponseBodySize), "the head's end was not seen")
}

func TestUnknownMethodsAndStatuses(t *testing.T) {
	a := aggregator(10)
	for _, method := range []string{"BREW", "_OTHER", "get"} {
		r := finished("shop")
		r.Method, r.Status = method, 999
		a.Export(r)
	}
	points := read(a).of(RequestDuration)
	require.Len(t, points, 1)
	assert.EqualValues(t, 3, points[0].Count)
	assert.Equal(t, "_OTHER", attrs(points[0])["http.request.method"])
}

// heap returns the memory in use, in bytes, without garbage.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestPathsAreNoLabels sends paths that match no template of the configuration.
func TestPathsAreNoLabels(t *testing.T) {
	a := aggregator(50)
	const requests = 100_000
	for i := range requests {
		r := finished("shop")
		r.Path = fmt.Appendf(nil, "/orders/%d", i)
		a.Export(r)
	}
	points := read(a).of(RequestDuration)
	require.Len(t, points, 1)
	assert.EqualValues(t, requests, points[0].Count)
}

func TestLabelExplosionIsBoundedAndCounted(t *testing.T) {
	before := heap()
	a := aggregator(50)
	const requests = 100_000
	for i := range requests {
		r := finished(fmt.Sprintf("service %d", i%1000))
		r.Route = fmt.Sprintf("/%d", i)
		a.Export(r)
	}
	assert.Less(t, heap(), before+16<<20, "bytes for 307 of 100,000 sets")
	s := read(a)
	assert.LessOrEqual(t, len(s.of(RequestDuration)), 50+maxOverflows+1)
	var all, overflow uint64
	for _, p := range s.of(RequestDuration) {
		all += p.Count
		if attrs(p)["otel.metric.overflow"] == "true" {
			overflow += p.Count
		}
	}
	assert.EqualValues(t, requests, all, "every request counts")
	assert.EqualValues(t, requests-50, overflow)
	assert.EqualValues(t, overflow, s.of(AgentOverflow)[0].Value)
	assert.LessOrEqual(t, len(a.byService), 50+maxOverflows+1)
}

func TestIdleLabelSetsMakeRoom(t *testing.T) {
	a := aggregator(2)
	a.Export(finished("old"))
	later := func(service string, by time.Duration) *request.Request {
		r := finished(service)
		for _, s := range []*request.Stamp{&r.Accepted, &r.Arrived, &r.ReadFirst, &r.ReadLast, &r.WriteFirst, &r.WriteLast} {
			*s += request.Stamp(by)
		}
		return r
	}
	a.Export(later("busy", idleAfter))
	a.Export(later("new", idleAfter+time.Minute))
	var services []string
	for _, p := range read(a).of(RequestDuration) {
		services = append(services, p.Service)
	}
	assert.ElementsMatch(t, []string{"busy", "new"}, services)
	assert.Zero(t, a.overflowed.Load())
	assert.Len(t, a.byService, 2, "parts go with their last series")
	a.Export(later("newer", idleAfter+2*time.Minute))
	assert.EqualValues(t, 1, a.overflowed.Load(), "both are in use")
}

func TestExemplarsAreOfTracesOnly(t *testing.T) {
	a := aggregator(10)
	r := finished("shop")
	a.Export(r)
	assert.Empty(t, read(a).of(RequestDuration)[0].Exemplars)
	r.TraceID, r.SpanID = [16]byte{1}, [8]byte{2}
	a.Remember(r)
	assert.EqualValues(t, 1, read(a).of(RequestDuration)[0].Count, "it is not counted again")
	e := read(a).of(RequestDuration)[0].Exemplars[9]
	assert.Equal(t, Exemplar{Value: 1, At: r.WriteLast, TraceID: [16]byte{1}, SpanID: [8]byte{2}}, e)
	for _, p := range read(a).of(PhaseDuration) {
		assert.NotEmpty(t, p.Exemplars)
	}
}

func TestExponentialBucketsHoldTheirValues(t *testing.T) {
	values := []float64{1e-9, .25, .25 + 1e-12, .3, 1, 1.0000001, 3, 4, 1e6, 1 << 40}
	for i := range 10_000 {
		values = append(values, math.Exp(float64(i)/500-10))
	}
	for _, v := range values {
		i := float64(exponentialIndex(v))
		require.Greater(t, v, math.Exp2(i/perOctave)*(1-1e-15), "lower bound of %v", v)
		require.LessOrEqual(t, v, math.Exp2((i+1)/perOctave)*(1+1e-15), "upper bound of %v", v)
	}
	assert.EqualValues(t, maxIndex, exponentialIndex(math.MaxFloat64))
	assert.EqualValues(t, -1, exponentialIndex(1), "a power of two ends its bucket")
	var e exponential
	for _, v := range []float64{1, 1000, .001, 0} {
		e.add(v)
	}
	assert.EqualValues(t, 1, e.zero)
	var sum uint64
	for _, n := range e.counts {
		sum += n
	}
	assert.EqualValues(t, 3, sum)
	assert.EqualValues(t, 1, e.counts[exponentialIndex(1000)-e.offset])
	assert.EqualValues(t, 1, e.counts[exponentialIndex(.001)-e.offset])
}

func TestCountingDoesNotAllocate(t *testing.T) {
	a := aggregator(10)
	r := finished("shop")
	r.Detail = sized{100, 100}
	a.Export(r)
	a.Remember(r)
	assert.Zero(t, testing.AllocsPerRun(1000, func() { a.Export(r); a.Remember(r) }))
}

func TestSnapshotsAreUsedAgain(t *testing.T) {
	a := aggregator(100)
	for i := range 100 {
		r := finished("shop")
		r.Route = fmt.Sprint(i)
		a.Export(r)
	}
	s := new(Snapshot)
	a.Read(s)
	assert.Less(t, testing.AllocsPerRun(10, func() { a.Read(s) }), 20.0)
	assert.Len(t, s.of(RequestDuration), 100)
}

func TestAddKeepsAttributes(t *testing.T) {
	a := aggregator(1)
	a.AddSource(SourceFunc(func(s *Snapshot) {
		s.Add(Workers, "shop", time.Time{}, 4, KeyState.String("busy"))
	}))
	p := read(a).of(Workers)[0]
	assert.Equal(t, map[string]string{"state": "busy"}, attrs(p))
	assert.EqualValues(t, 4, p.Value)
}
