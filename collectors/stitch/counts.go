package stitch

import (
	"sync/atomic"

	"lapwing/collectors/request"
)

// tally counts decisions. The Stitcher's goroutine writes it. Any goroutine may
// read it.
type tally struct {
	joined   atomic.Uint64
	unjoined [numStates]atomic.Uint64
}

func (t *tally) add(s state) {
	if s == joined {
		t.joined.Add(1)
		return
	}
	t.unjoined[s].Add(1)
}

func (t *tally) read() Tally {
	out := Tally{Joined: t.joined.Load(), Unjoined: make(map[string]uint64)}
	for s := range t.unjoined {
		if n := t.unjoined[s].Load(); n > 0 {
			out.Unjoined[stateNames[s]] = n
		}
	}
	return out
}

type counters struct {
	calls tally
	hops  tally
}

// Tally is how many joins were made, and how many were not, by reason.
type Tally struct {
	Joined   uint64
	Unjoined map[string]uint64
}

// Counts are the totals of a Stitcher since its start.
type Counts struct {
	// Calls are joins of a call to the request that it was made for.
	Calls Tally
	// Requests are joins of a request to the call, by a server on this host, that
	// caused it. Requests from other hosts do not count.
	Requests Tally
}

// Counts returns the totals. It is safe for concurrent use.
func (s *Stitcher) Counts() Counts {
	return Counts{Calls: s.counts.calls.read(), Requests: s.counts.hops.read()}
}

func (s *Stitcher) countUnjoined(r *request.Request, why state) {
	if r.Links.Caller != 0 {
		s.counts.hops.add(why)
	}
}
