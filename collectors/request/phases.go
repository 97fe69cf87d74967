package request

import "time"

// Phase identifies one of the four consecutive phases of a request.
type Phase int

// The four phases, in the order in which they happen.
const (
	Queue Phase = iota
	Parse
	App
	WriteBack
	NumPhases
)

var phaseNames = [NumPhases]string{"queue", "parse", "app", "write_back"}

func (p Phase) String() string { return phaseNames[p] }

// Phases are the durations of the four phases. Their sum is exactly the duration of
// the request.
type Phases [NumPhases]time.Duration

// Sum returns the request's duration.
func (p Phases) Sum() time.Duration { return p[Queue] + p[Parse] + p[App] + p[WriteBack] }

// Bounds are the five moments that bound the four phases. They never decrease. A
// moment that was not seen is zero, and so are all later ones.
type Bounds [NumPhases + 1]Stamp

// Bounds returns the bounds of the phases: phase p lasts from Bounds()[p] to
// Bounds()[p+1].
func (r *Request) Bounds() Bounds {
	b := Bounds{r.Arrived, r.ReadFirst, r.parseEnd(), r.WriteFirst, r.WriteLast}
	for i := 1; i < len(b); i++ {
		if !b[i].Seen() || !b[i-1].Seen() {
			b[i] = 0
			continue
		}
		// The stamps come from different CPUs. Their clocks agree only to within a
		// microsecond.
		b[i] = max(b[i], b[i-1])
	}
	return b
}

// parseEnd returns the boundary between parse and app. This is the marker, if there
// is one, even if the application reads the body itself. Otherwise it is the last
// read, but never later than the start of the response.
func (r *Request) parseEnd() Stamp {
	end, early := r.ReadLast, r.Flags&EarlyResponse != 0
	if r.Boundary == BoundaryMarker && r.Marker.Seen() {
		end, early = r.Marker, false
	}
	if r.WriteFirst.Seen() && (early || end > r.WriteFirst) {
		return r.WriteFirst
	}
	return end
}

// Phases returns the durations of the phases and whether all four are known. An
// unknown phase is zero.
func (r *Request) Phases() (Phases, bool) {
	b := r.Bounds()
	var p Phases
	for i := range p {
		if b[i+1].Seen() {
			p[i] = time.Duration(b[i+1] - b[i])
		}
	}
	return p, b[NumPhases].Seen()
}

// Known reports whether both bounds of phase p are known.
func (b Bounds) Known(p Phase) bool { return b[p+1].Seen() }

// Duration returns write_last − arrived. ok is false if either was not seen.
func (r *Request) Duration() (d time.Duration, ok bool) {
	b := r.Bounds()
	if !b[NumPhases].Seen() {
		return 0, false
	}
	return time.Duration(b[NumPhases] - b[0]), true
}

// Backlog returns the part of queue before accept returned: the wait in the listen
// backlog. Only the first request of a connection has one.
func (r *Request) Backlog() (time.Duration, bool) {
	if r.Seq != 1 || !r.Accepted.Seen() || !r.Arrived.Seen() || !r.ReadFirst.Seen() {
		return 0, false
	}
	end := min(max(r.Accepted, r.Arrived), max(r.ReadFirst, r.Arrived))
	return time.Duration(end - r.Arrived), true
}

// Dispatch returns the part of queue after accept returned: the wait for a worker
// to read the request.
func (r *Request) Dispatch() (time.Duration, bool) {
	if !r.Arrived.Seen() || !r.ReadFirst.Seen() {
		return 0, false
	}
	queue := time.Duration(max(r.ReadFirst, r.Arrived) - r.Arrived)
	if r.Seq != 1 {
		return queue, true
	}
	backlog, ok := r.Backlog()
	return queue - backlog, ok
}

// Drain returns acked − write_last: the time in which the response was in kernel
// buffers and not yet at the client. It is not part of the duration.
func (r *Request) Drain() (time.Duration, bool) {
	if !r.Acked.Seen() || !r.WriteLast.Seen() {
		return 0, false
	}
	return time.Duration(max(r.Acked, r.WriteLast) - r.WriteLast), true
}

// End returns the last moment of the request that was seen.
func (r *Request) End() Stamp {
	if r.WriteLast.Seen() {
		return max(r.WriteLast, r.Arrived)
	}
	return max(r.Closed, r.WriteFirst, r.ReadLast, r.ReadFirst, r.Arrived)
}
