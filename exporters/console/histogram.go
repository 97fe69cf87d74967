package console

import (
	"math/bits"
	"time"
)

// The buckets of a histogram. Each octave of values is divided into 2^subBits
// buckets of equal width. The distance from a value to the middle of its bucket
// is at most half a bucket, which is 1/2^(subBits+1) of the value: 0.8 %.
const (
	subBits    = 6
	subBuckets = 1 << subBits
	octaves    = 64 - subBits + 1
)

// histogram counts durations in nanoseconds, from 0 to the largest possible
// one. Its sum is exact, and its quantiles are within 0.8 %. It is not safe for
// concurrent use.
//
// Octaves of half a KiB each are allocated at their first use. A service needs
// about ten of them. HdrHistogram allocates the whole range at once: 36 KiB for
// an hour at this resolution (and 1.8 times the time per record). With ten
// histograms for each of a thousand services this would be a third of a GiB.
type histogram struct {
	counts [octaves]*[subBuckets]uint64
	count  uint64
	sum    uint64 // nanoseconds; wraps after 584 years of durations
}

// record counts one duration. A negative one is impossible and counts as zero.
func (h *histogram) record(d time.Duration) {
	v := uint64(max(d, 0))
	octave, bucket := 0, v
	if v >= subBuckets {
		shift := bits.Len64(v) - subBits - 1
		octave, bucket = shift+1, v>>shift-subBuckets
	}
	counts := h.counts[octave]
	if counts == nil {
		counts = new([subBuckets]uint64)
		h.counts[octave] = counts
	}
	counts[bucket%subBuckets]++
	h.count++
	h.sum += v
}

// middle returns the value that represents a bucket.
func middle(octave, bucket int) time.Duration {
	if octave == 0 {
		return time.Duration(bucket)
	}
	shift := octave - 1
	return time.Duration(subBuckets+bucket)<<shift + time.Duration(1)<<shift>>1
}

// copyFrom makes h equal to other. It reuses the memory of h.
func (h *histogram) copyFrom(other *histogram) {
	for i, counts := range other.counts {
		if counts == nil {
			h.counts[i] = nil
			continue
		}
		if h.counts[i] == nil {
			h.counts[i] = new([subBuckets]uint64)
		}
		*h.counts[i] = *counts
	}
	h.count, h.sum = other.count, other.sum
}

// Stats summarise the durations of one kind.
type Stats struct {
	Count         uint64        // durations that were measured
	Sum           time.Duration // exact
	P50, P95, P99 time.Duration // within 0.8 %; zero, and meaningless, when Count is
}

// since summarises what h counted after its earlier copy was taken.
func (h *histogram) since(earlier *histogram) Stats {
	s := Stats{Count: h.count - earlier.count, Sum: time.Duration(h.sum - earlier.sum)}
	if s.Count == 0 {
		return s
	}
	q := quantiles{
		ranks: [...]uint64{rank(s.Count, 50), rank(s.Count, 95), rank(s.Count, 99)},
	}
	for i, counts := range h.counts {
		if counts == nil {
			continue
		}
		old := earlier.counts[i]
		for j, n := range counts {
			if old != nil {
				n -= old[j]
			}
			if n > 0 && q.add(n, middle(i, j)) {
				s.P50, s.P95, s.P99 = q.values[0], q.values[1], q.values[2]
				return s
			}
		}
	}
	return s
}

// rank returns the nearest rank of a percentile: the rank of the smallest
// duration that is not exceeded by at least this share of all durations.
func rank(count, percent uint64) uint64 {
	return max(1, count/100*percent+(count%100*percent+99)/100)
}

// quantiles finds the values of increasing ranks among increasing values.
type quantiles struct {
	ranks  [3]uint64
	values [3]time.Duration
	found  int
	seen   uint64
}

// add counts v n times and returns true once all ranks are found.
func (q *quantiles) add(n uint64, v time.Duration) bool {
	q.seen += n
	for q.found < len(q.ranks) && q.seen >= q.ranks[q.found] {
		q.values[q.found] = v
		q.found++
	}
	return q.found == len(q.ranks)
}
