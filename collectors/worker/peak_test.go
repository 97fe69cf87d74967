package worker

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"lapwing/collectors/request"
)

// overlap counts the maximum of spans that overlap at one moment, in the slow way.
func overlap(spans []span) (most int) {
	for _, at := range spans {
		n := 0
		for _, s := range spans {
			if s.start <= at.start && at.start < s.end {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// TestPeakAgreesWithCounting passes spans in when they end, as requests come, and
// sometimes settles with those that are in progress.
func TestPeakAgreesWithCounting(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var all []span
		for i := range 1 + random.IntN(60) {
			start := request.Stamp(1 + random.IntN(1000))
			all = append(all, span{start, start + 1 + request.Stamp(random.IntN(300)), uint64(i)})
		}
		var p peak
		for at := request.Stamp(1); at < 1500; at++ {
			var live []span
			for _, s := range all {
				if s.end == at {
					p.add(s)
				} else if s.start <= at && s.end > at {
					live = append(live, span{s.start, at, s.who})
				}
			}
			if random.IntN(50) == 0 {
				p.settle(at-1, live)
			}
		}
		p.settle(1500, nil)
		require.Equal(t, overlap(all), p.max)
		require.Empty(t, p.spans, "all have ended")
	}
}

func TestPeakIsBounded(t *testing.T) {
	var p peak
	for i := range 10 * maxSpans {
		p.add(span{request.Stamp(i + 1), request.Stamp(i + 4), uint64(i)})
	}
	require.LessOrEqual(t, cap(p.spans), 2*maxSpans)
	require.Equal(t, 3, p.max)
}

func TestPeakTakesASpanThatIsSeenTwiceOnce(t *testing.T) {
	var p peak
	p.add(span{10, 20, 1})
	p.settle(30, []span{{10, 30, 1}})
	require.Equal(t, 1, p.max)
}
