package sampling

import (
	"encoding/binary"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/collectors/request"
)

// sample returns a request of 11 ms that finished a moment ago.
func sample() *request.Request {
	arrived := request.Now() - request.Stamp(time.Second)
	at := func(ms int) request.Stamp { return arrived + request.Stamp(ms)*request.Stamp(time.Millisecond) }
	return &request.Request{
		Stamps: request.Stamps{
			Established: at(-1), Accepted: at(1), Arrived: arrived,
			ReadFirst: at(2), ArrivedLast: at(2), ReadLast: at(3),
			WriteFirst: at(8), WriteLast: at(11), Acked: at(12),
		},
		Service: "shop", Status: 200,
	}
}

func TestSamplingReasons(t *testing.T) {
	config := Config{
		Ratio: 0, FollowParent: true, KeepFailed: true, Slow: time.Second,
		Services: []ServiceConfig{
			{Service: "all", Ratio: new(1.0)},
			{Service: "quick", Slow: new(5 * time.Millisecond)},
			{Service: "never slow", Slow: new(time.Duration(0))},
		},
	}
	parent := func(r *request.Request) { r.TraceID, r.ParentSpanID = [16]byte{1}, [8]byte{1} }
	tests := map[string]struct {
		change func(*request.Request)
		want   reason
	}{
		"ordinary":                 {func(*request.Request) {}, sampledOut},
		"status 500":               {func(r *request.Request) { r.Status = 500 }, keptFailed},
		"status 404":               {func(r *request.Request) { r.Status = 404 }, sampledOut},
		"reset":                    {func(r *request.Request) { r.Error = "reset" }, keptFailed},
		"slow":                     {func(r *request.Request) { r.Arrived -= request.Stamp(time.Second) }, keptSlow},
		"slow and never finished":  {func(r *request.Request) { r.WriteLast, r.Closed = 0, r.Arrived+2e9 }, keptSlow},
		"slow for this service":    {func(r *request.Request) { r.Service = "quick" }, keptSlow},
		"slow is off":              {func(r *request.Request) { r.Service = "never slow"; r.Arrived -= 2e9 }, sampledOut},
		"ratio of this service":    {func(r *request.Request) { r.Service = "all" }, keptByRatio},
		"parent sampled":           {func(r *request.Request) { parent(r); r.Sampled = true }, keptByParent},
		"parent not sampled":       {func(r *request.Request) { parent(r); r.Service = "all" }, sampledOut},
		"parent not, but it fails": {func(r *request.Request) { parent(r); r.Status = 502 }, keptFailed},
	}
	s := New(config)
	for name, test := range tests {
		r := sample()
		test.change(r)
		assert.Equal(t, test.want.String(), s.Decide(r).Reason(), name)
	}
}

func TestRatioDecidesWhereParentsAreNotFollowed(t *testing.T) {
	r := sample()
	r.TraceID, r.ParentSpanID, r.Sampled = [16]byte{1}, [8]byte{1}, true
	assert.Zero(t, New(Config{Ratio: 0}).Decide(r).reason)
}

func TestRatioIsMet(t *testing.T) {
	const n = 20000
	for _, ratio := range []float64{0.01, 0.25, 0.9} {
		s := New(Config{Ratio: ratio})
		kept := 0
		for range n {
			r := new(request.Request)
			request.AssignIDs(r)
			if s.Decide(r).reason == keptByRatio {
				kept++
			}
		}
		// Six standard deviations: a false failure once in 500 million runs.
		slack := 6 * math.Sqrt(n*ratio*(1-ratio))
		assert.InDelta(t, n*ratio, kept, slack, "ratio %v kept %d of %d", ratio, kept, n)
	}
}

func TestRatioIsConsistent(t *testing.T) {
	low, high := New(Config{Ratio: 0.1}), New(Config{Ratio: 0.5})
	for i := range 1000 {
		r := new(request.Request)
		binary.BigEndian.PutUint64(r.TraceID[:8], 1)
		binary.BigEndian.PutUint64(r.TraceID[8:], uint64(i)<<46)
		lost := low.Decide(r).reason == keptByRatio && high.Decide(r).reason == sampledOut
		require.False(t, lost, "trace %x is kept at 0.1 and not at 0.5", r.TraceID)
		require.Equal(t, low.Decide(r), low.Decide(r), "trace %x is judged both ways", r.TraceID)
	}
}

func TestRandomnessFromTraceState(t *testing.T) {
	s := New(Config{Ratio: 0.5})
	r := new(request.Request)
	r.TraceID = [16]byte{1} // its own randomness is 0: not kept
	for state, want := range map[string]reason{
		"":                                   sampledOut,
		"ot=rv:ffffffffffffff":               keptByRatio,
		"a=b, ot=th:1;rv:80000000000000,c=d": keptByRatio,
		"ot=rv:7fffffffffffff":               sampledOut,
		"ot=rv:ffff":                         sampledOut, // too short to be one
		"other=rv:ffffffffffffff":            sampledOut,
	} {
		r.TraceState = []byte(state)
		assert.Equal(t, want.String(), s.Decide(r).Reason(), "tracestate %q", state)
	}
}

func TestThresholdNotation(t *testing.T) {
	for ratio, want := range map[float64]string{1: "0", 0.5: "8", 0.25: "c", 0.75: "4", 1.0 / 16: "f"} {
		assert.Equal(t, want, notation(threshold(ratio)), "th of ratio %v", ratio)
	}
	got := notation(threshold(0.1))
	assert.True(t, strings.HasPrefix(got, "e666"), "th of ratio 0.1 is %q", got)
	assert.LessOrEqual(t, len(got), rvDigits, "th of ratio 0.1 is %q", got)
}

func TestWithThreshold(t *testing.T) {
	tests := []struct{ state, threshold, want string }{
		{"", "8", "ot=th:8"},
		{"a=1", "8", "ot=th:8,a=1"},
		{"a=1,ot=th:0,b=2", "c", "ot=th:c,a=1,b=2"},
		{"ot=rv:1;th:0", "c", "ot=th:c;rv:1"},
		{"a=1, ,b=2", "", "a=1, ,b=2"},
	}
	for _, test := range tests {
		assert.Equal(t, test.want, withThreshold([]byte(test.state), test.threshold), "%q with %q", test.state, test.threshold)
	}
}
