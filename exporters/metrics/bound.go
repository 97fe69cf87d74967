package metrics

import (
	"math"

	"lapwing/collectors/request"
)

// bound holds the series of requests to a number. Prometheus has a series for
// each bucket of a histogram: that, not the label sets, is what a backend pays.
type bound struct {
	most     int // series of requests
	reserve  int // of them, for what is beyond the limit
	used     int
	reserved int // of used, by series for what is beyond the limit
}

// The series of a label set, and those of a service besides: its parts.
var (
	setCost   = RequestDuration.series() + RequestBodySize.series() + ResponseBodySize.series() + int(request.NumPhases)*PhaseDuration.series()
	partsCost = len(partAttrs) * PartDuration.series()
)

// series is how many time series one point of the family is.
func (f *Family) series() int {
	if f.Kind != KindHistogram {
		return 1
	}
	return len(f.Bounds) + 1 + 2 // the open bucket, the sum and the count
}

// requestShare is the part of all series that those of requests may take; the
// rest is for workers, listeners and processes. A tenth of it is kept for what
// is beyond the limit.
const requestShare, overflowShare = 5, 10

// newBound divides what may be exposed; 0 is no bound.
func newBound(most int) bound {
	if most == 0 {
		most = math.MaxInt
	}
	most -= most / requestShare
	return bound{most: most, reserve: most / overflowShare}
}

// fits reports whether there is room for a label set of so many series.
func (b *bound) fits(cost int) bool {
	return cost <= b.most-b.used-(b.reserve-b.reserved)
}

// fitsReserve reports whether the reserve has room, beside what stands for all
// the services that have none.
func (b *bound) fitsReserve(cost int) bool {
	return cost+setCost+partsCost <= b.reserve-b.reserved
}
