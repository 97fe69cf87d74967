package metrics

import "lapwing/collectors/request"

// times holds the durations of a request as the metrics count them.
type times struct {
	total  uint64 // nanoseconds
	phases [request.NumPhases]uint64
	known  request.Phase // the phases before it are counted
	whole  bool          // the phases add up to total
}

// split measures a request that has a start. If it ended without a complete
// response, it lasted until its end, and so did the phase in which it ended: a
// client that gave up after 30 s did wait for 30 s.
func split(r *request.Request) (t times, ok bool) {
	b := r.Bounds()
	if !b[0].Seen() {
		return t, false
	}
	for p := request.Queue; p < request.NumPhases && b.Known(p); p++ {
		t.phases[p] = uint64(b[p+1] - b[p])
		t.total += t.phases[p]
		t.known++
	}
	if t.known == request.NumPhases {
		t.whole = true
		return t, true
	}
	rest := uint64(max(r.End(), b[t.known]) - b[t.known])
	t.total += rest
	if endedIn(r, t.known) {
		t.phases[t.known] = rest
		t.known++
		t.whole = true
		return t, true
	}
	t.known = 0
	return t, true
}

// endedIn reports whether nothing of a phase after p was seen. If something was
// seen, a stamp in between is missing, and the times around it cannot be
// separated.
func endedIn(r *request.Request, p request.Phase) bool {
	later := [...]request.Stamp{r.ReadFirst, r.ReadLast, r.WriteFirst, r.WriteLast}
	for _, s := range later[p:] {
		if s.Seen() {
			return false
		}
	}
	return true
}

// headSizes is implemented by a Detail that may know the size of the head of
// each message, in bytes; 0 if the end of the head was not seen.
type headSizes interface {
	HeadSizes() (request, response int)
}

// count adds a request to its series.
func (s *series) count(r *request.Request, t times) {
	s.duration.add(requestUnit, t.total)
	for p := range t.known {
		s.phases[p].add(phaseUnit, t.phases[p])
	}
	s.countBodies(r)
	s.countParts(r)
}

// remember makes a request that has become a trace the exemplar of its values.
func (s *series) remember(r *request.Request, t times) {
	s.duration.remember(requestUnit, t.total, r)
	for p := range t.known {
		s.phases[p].remember(phaseUnit, t.phases[p], r)
	}
}

func (s *series) countBodies(r *request.Request) {
	d, ok := r.Detail.(headSizes)
	if !ok {
		return
	}
	request, response := d.HeadSizes()
	if head := uint64(request); head > 0 && r.RequestBytes >= head {
		s.requestBody.add(sizeUnit, r.RequestBytes-head)
	}
	if head := uint64(response); head > 0 && r.ResponseBytes >= head {
		s.responseBody.add(sizeUnit, r.ResponseBytes-head)
	}
}

func (s *series) countParts(r *request.Request) {
	var all [request.NumParts]request.PartDuration
	for _, part := range r.AppendParts(all[:0]) {
		s.parts.histograms[part.Part].add(phaseUnit, raw(part.Duration))
	}
}
