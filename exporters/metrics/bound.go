package metrics

import (
	"math"

	"lapwing/collectors/request"
)

// bound limits the number of series of requests. Prometheus has a series for
// each bucket of a histogram. A backend pays for these series, not for label
// sets.
type bound struct {
	most     int // series of requests
	reserve  int // the share of most for requests beyond the limit
	used     int
	reserved int // the share of used that requests beyond the limit take
}

// The series of a label set, and the additional series of a service: its parts.
var (
	setCost   = RequestDuration.series() + RequestBodySize.series() + ResponseBodySize.series() + int(request.NumPhases)*PhaseDuration.series()
	partsCost = len(partAttrs) * PartDuration.series()
)

// series returns the number of time series of one point of the family.
func (f *Family) series() int {
	if f.Kind != KindHistogram {
		return 1
	}
	return len(f.Bounds) + 1 + 2 // the open bucket, the sum and the count
}

// requestShare is the part of all series that requests may take. The rest is
// for workers, listeners and processes. overflowShare is the part of the
// requests' series, a tenth, that is reserved for requests beyond the limit.
const requestShare, overflowShare = 5, 10

// newBound divides the number of series that may be exposed; 0 means no limit.
func newBound(most int) bound {
	if most == 0 {
		most = math.MaxInt
	}
	most -= most / requestShare
	return bound{most: most, reserve: most / overflowShare}
}

// fits reports whether there is room for a label set that adds cost series.
func (b *bound) fits(cost int) bool {
	return cost <= b.most-b.used-(b.reserve-b.reserved)
}

// fitsReserve reports whether the reserve has room for cost series, besides
// those that stand for all services without series of their own.
func (b *bound) fitsReserve(cost int) bool {
	return cost+setCost+partsCost <= b.reserve-b.reserved
}
