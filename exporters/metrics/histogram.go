package metrics

import (
	"time"

	"lapwing/collectors/request"
)

// unit defines how the raw values of a histogram, nanoseconds or bytes, relate
// to the unit of the metric, and the bounds of its classic buckets.
type unit struct {
	per    float64  // raw values per unit
	bounds []uint64 // raw
}

func newUnit(f *Family, per float64) *unit {
	u := &unit{per: per}
	for _, bound := range f.Bounds {
		u.bounds = append(u.bounds, uint64(bound*per+.5))
	}
	return u
}

// bucket returns the classic bucket of a raw value: that of the first bound
// that is not below the value.
func (u *unit) bucket(raw uint64) int {
	for i, bound := range u.bounds {
		if raw <= bound {
			return i
		}
	}
	return len(u.bounds)
}

var (
	requestUnit = newUnit(RequestDuration, 1e9)
	phaseUnit   = newUnit(PhaseDuration, 1e9)
	sizeUnit    = newUnit(RequestBodySize, 1)
)

// Exemplar is one value and the trace that it comes from.
type Exemplar struct {
	Value   float64
	At      request.Stamp // the end of the request; zero if there is no exemplar
	TraceID [16]byte
	SpanID  [8]byte
}

// histogram counts values twice: in classic buckets, whose histograms can be
// added up in any backend, and in exponential buckets, which are finer.
type histogram struct {
	sum         uint64 // raw
	count       uint64
	classic     []uint64
	exponential exponential
	exemplars   []Exemplar // the last one per classic bucket; nil before the first
}

// add counts a raw value. It allocates for the first value, and when the
// exponential buckets grow.
func (h *histogram) add(u *unit, raw uint64) {
	if h.classic == nil {
		h.classic = make([]uint64, len(u.bounds)+1)
	}
	h.sum += raw
	h.count++
	h.classic[u.bucket(raw)]++
	h.exponential.add(float64(raw) / u.per)
}

// remember keeps the request as the exemplar of the value's bucket.
func (h *histogram) remember(u *unit, raw uint64, r *request.Request) {
	if h.exemplars == nil {
		h.exemplars = make([]Exemplar, len(u.bounds)+1)
	}
	h.exemplars[u.bucket(raw)] = Exemplar{float64(raw) / u.per, r.End(), r.TraceID, r.SpanID}
}

// raw returns a duration as histograms take it, in nanoseconds. Durations are
// never negative.
func raw(d time.Duration) uint64 { return uint64(max(d, 0)) }
