package sampling

import (
	"math/bits"
	"time"

	"lapwing/collectors/request"
)

// The window of recent requests: at least this long and this many requests, so
// that a quiet service has one too. It lasts at most twice that.
const (
	recentTime     = time.Minute
	recentRequests = 500
	recentKnown    = 100 // requests before any is called slow
	recentServices = 1024
	recentUpdate   = 64 // requests between two updates of the limit
)

// recent holds the durations of the recent requests of each service.
type recent struct {
	slowest  float64 // the share that counts as slow
	services map[string]*latency
}

func newRecent(slowest float64) *recent {
	return &recent{slowest: slowest, services: make(map[string]*latency)}
}

// isSlow reports whether a duration is among the slowest of its service, and
// adds it. It only allocates for a new service.
func (s *recent) isSlow(service string, d time.Duration, now request.Stamp) bool {
	l, ok := s.services[service]
	if !ok {
		if len(s.services) >= recentServices {
			clear(s.services)
		}
		l = &latency{began: now}
		s.services[service] = l
	}
	slow := l.limit > 0 && d >= l.limit
	l.add(d, now, s.slowest)
	return slow
}

// latency is the distribution of one service's durations: of the window that is
// being filled, and of the previous one.
type latency struct {
	current, previous distribution
	began             request.Stamp
	limit             time.Duration // requests at or above it are slow; 0 if unknown
	waiting           int           // requests since limit was computed
}

func (l *latency) add(d time.Duration, now request.Stamp, slowest float64) {
	l.current.counts[latencyBucket(d)]++
	l.current.total++
	if l.waiting++; l.waiting < recentUpdate {
		return
	}
	l.waiting = 0
	if l.current.total >= recentRequests && now > l.began && time.Duration(now-l.began) >= recentTime {
		l.previous, l.current, l.began = l.current, distribution{}, now
	}
	l.limit = l.find(slowest)
}

// find returns the upper bound of the bucket above which the slowest share
// lies.
func (l *latency) find(slowest float64) time.Duration {
	total := l.current.total + l.previous.total
	if total < recentKnown {
		return 0
	}
	above := uint32(slowest * float64(total))
	for i := latencyBuckets - 1; i >= 0; i-- {
		n := l.current.counts[i] + l.previous.counts[i]
		if n > above {
			return latencyEnd(i)
		}
		above -= n
	}
	return 0
}

// distribution counts durations in buckets, eight per power of two.
type distribution struct {
	counts [latencyBuckets]uint32
	total  uint32
}

const (
	latencyDigits  = 3  // bits after the leading one
	latencyHighest = 44 // the highest number of bits that is distinguished: five hours
	latencyBuckets = (latencyHighest - latencyDigits + 1) << latencyDigits
)

func latencyBucket(d time.Duration) int {
	ns := min(uint64(max(d, 0)), 1<<latencyHighest-1)
	shift := max(bits.Len64(ns)-latencyDigits-1, 0)
	return shift<<latencyDigits + int(ns>>shift)
}

// latencyEnd returns the smallest duration above bucket i.
func latencyEnd(i int) time.Duration {
	shift := max(i>>latencyDigits-1, 0)
	return time.Duration(uint64(i-shift<<latencyDigits+1) << shift)
}
