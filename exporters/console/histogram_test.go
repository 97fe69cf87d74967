package console

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// maxError is the documented error of a percentile.
const maxError = 1.0 / (2 * subBuckets)

// checkStats compares Stats with the durations themselves.
func checkStats(t *testing.T, what string, got Stats, truth []time.Duration) {
	t.Helper()
	slices.Sort(truth)
	var sum time.Duration
	for _, d := range truth {
		sum += d
	}
	assert.Equal(t, uint64(len(truth)), got.Count, "%s: count", what)
	assert.Equal(t, sum, got.Sum, "%s: sum", what)
	if len(truth) == 0 {
		return
	}
	for _, c := range []struct {
		percent int
		got     time.Duration
	}{{50, got.P50}, {95, got.P95}, {99, got.P99}} {
		want := truth[max(0, (len(truth)*c.percent+99)/100-1)]
		off := math.Abs(float64(c.got-want)) / float64(max(want, 1))
		assert.LessOrEqual(t, off, maxError, "%s: p%d is %d, want %d: off by %.2f %%", what, c.percent, c.got, want, off*100)
	}
}

func TestHistogramAgainstTruth(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	draws := map[string]func() time.Duration{
		"exponential": func() time.Duration { return time.Duration(random.ExpFloat64() * 2e6) },
		"all scales":  func() time.Duration { return time.Duration(random.Uint64() >> 1 >> (12 + random.UintN(51))) },
		"two peaks": func() time.Duration {
			return time.Duration(random.IntN(2))*50*time.Millisecond + time.Duration(random.IntN(1000))
		},
		"constant": func() time.Duration { return 1234567 },
		"zero":     func() time.Duration { return 0 },
	}
	for name, draw := range draws {
		for _, n := range []int{0, 1, 2, 19, 20, 99, 100, 101, 10_000} {
			var h histogram
			truth := make([]time.Duration, n)
			for i := range truth {
				truth[i] = draw()
				h.record(truth[i])
			}
			checkStats(t, name, h.since(new(histogram)), truth)
		}
	}
}

// TestBuckets checks the edges of every bucket of every octave.
func TestBuckets(t *testing.T) {
	for shift := range 63 {
		for _, near := range []int64{-1, 0, 1} {
			v := int64(1)<<shift + near
			var h histogram
			h.record(time.Duration(v))
			got := h.since(new(histogram)).P50
			off := math.Abs(float64(int64(got)-v)) / float64(max(v, 1))
			assert.LessOrEqual(t, off, maxError, "%d comes back as %d", v, got)
		}
	}
	var h histogram
	h.record(math.MaxInt64)
	h.record(-1)
	s := h.since(new(histogram))
	assert.Zero(t, s.P50, "the smallest")
	assert.GreaterOrEqual(t, s.P99, time.Duration(math.MaxInt64/100*99), "the largest")
}

func TestHistogramSince(t *testing.T) {
	var h, earlier histogram
	for i := range 1000 {
		h.record(time.Duration(i) * time.Second)
	}
	earlier.copyFrom(&h)
	assert.Equal(t, Stats{}, h.since(&earlier), "nothing was recorded since")
	truth := []time.Duration{10, 2000, 30000}
	for _, d := range truth {
		h.record(d)
	}
	checkStats(t, "since", h.since(&earlier), truth)

	var empty histogram
	earlier.copyFrom(&empty)
	assert.Equal(t, Stats{}, earlier.since(&empty), "a copy of nothing holds something")
}

func BenchmarkHistogramRecord(b *testing.B) {
	var h histogram
	values := make([]time.Duration, 4096)
	for i := range values {
		values[i] = time.Duration(rand.ExpFloat64() * 2e6)
	}
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		h.record(values[i%len(values)])
		i++
	}
}
