package request

import "time"

// Phase numbers the four consecutive windows of a request.
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

// Phases are the durations of the four windows. Their sum is the request's
// duration exactly.
type Phases [NumPhases]time.Duration

// Sum is the request's duration.
func (p Phases) Sum() time.Duration { return p[Queue] + p[Parse] + p[App] + p[WriteBack] }

// Bounds are the five moments between which the four phases lie. They never
// decrease. A moment that was not seen is zero, and so are all later ones.
type Bounds [NumPhases + 1]Stamp

// Bounds returns the edges of the phases: Bounds()[p] to Bounds()[p+1] is
// phase p.
func (r *Request) Bounds() Bounds {
	b := Bounds{r.Arrived, r.ReadFirst, r.parseEnd(), r.WriteFirst, r.WriteLast}
	for i := 1; i < len(b); i++ {
		if !b[i].Seen() || !b[i-1].Seen() {
			b[i] = 0
			continue
		}
		// The stamps come from different CPUs, whose clocks agree to within
		// less than a microsecond only.
		b[i] = max(b[i], b[i-1])
	}
	return b
}

// parseEnd is the boundary parse | app: the marker where there is one, also if
// the application reads the body itself. Else it is the last read, and never
// later than the response's begin.
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

// Phases returns the durations of the phases and whether all four are known.
// Phases that are not known are zero.
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

// Known reports whether phase p has both of its ends.
func (b Bounds) Known(p Phase) bool { return b[p+1].Seen() }

// Duration is write_last − arrived; ok is false when either was not seen.
func (r *Request) Duration() (d time.Duration, ok bool) {
	b := r.Bounds()
	if !b[NumPhases].Seen() {
		return 0, false
	}
	return time.Duration(b[NumPhases] - b[0]), true
}

// Backlog is the part of queue before accept returned: the wait in the listen
// backlog. Only the first request of a connection has one.
func (r *Request) Backlog() (time.Duration, bool) {
	if r.Seq != 1 || !r.Accepted.Seen() || !r.Arrived.Seen() || !r.ReadFirst.Seen() {
		return 0, false
	}
	end := min(max(r.Accepted, r.Arrived), max(r.ReadFirst, r.Arrived))
	return time.Duration(end - r.Arrived), true
}

// Dispatch is the part of queue after accept returned: the wait for a worker
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

// Drain is acked − write_last: the response was in kernel buffers, not yet at
// the client. It is not part of the duration.
func (r *Request) Drain() (time.Duration, bool) {
	if !r.Acked.Seen() || !r.WriteLast.Seen() {
		return 0, false
	}
	return time.Duration(max(r.Acked, r.WriteLast) - r.WriteLast), true
}

// End is the last moment at which something was seen of the request.
func (r *Request) End() Stamp {
	if r.WriteLast.Seen() {
		return max(r.WriteLast, r.Arrived)
	}
	return max(r.Closed, r.WriteFirst, r.ReadLast, r.ReadFirst, r.Arrived)
}
