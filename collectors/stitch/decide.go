package stitch

import (
	"slices"

	"lapwing/collectors/request"
)

// maxCalls is how many calls are kept of one request.
const maxCalls = 256

// decide settles which calls were made for a hop. Those that were become part
// of its request.
func (s *Stitcher) decide(h *hop) {
	said := s.byHop[h.ref]
	for _, c := range said {
		if c.state == undecided && h.contains(c) && s.certain(h, c) {
			s.join(h, c)
		}
	}
	s.match(h)
	s.claim(h)
	s.follow(h)
	for _, c := range said {
		switch {
		case s.mayBeAnother(h, c): // which may be handed in later
		case !h.contains(c):
			s.leave(c, outside)
		default:
			s.leave(c, ambiguous)
		}
	}
	slices.SortFunc(h.calls, func(a, b *call) int { return int(a.Start) - int(b.Start) })
	for _, c := range h.calls {
		c.Shown = c.back != nil && !c.back.hidden
		h.req.Calls = append(h.req.Calls, c.Call)
	}
}

// contains tells whether a call began while its hop was being worked on.
func (h *hop) contains(c *call) bool {
	r := h.req
	at := c.Start
	if c.Links.For != h.ref {
		at = c.Used()
	}
	return at >= r.ReadFirst && max(at, c.Used()) <= max(r.WriteLast, r.Closed)
}

// names is the other request that a call names, if it names two.
func (c *call) names(h *hop) request.Ref {
	switch {
	case c.Links.For == c.Links.Used, !c.Links.Used.Known():
		return request.Ref{}
	case c.Links.For == h.ref:
		return c.Links.Used
	}
	return c.Links.For
}

// certain tells whether a call that says it was made for a hop was. One whose
// connection was opened for one request and first used where another was read
// is of the one whose response followed on it, or of the only one there was.
func (s *Stitcher) certain(h *hop, c *call) bool {
	if s.mutual(h, c) {
		return true
	}
	among, e, at := s.among(h, c), c.Links.Evidence, c.Start
	two := c.names(h).Known()
	if two && c.Links.Used == h.ref {
		e, at = c.Links.UseEvidence&request.EvidenceSole, c.Used()
	} else if two {
		e &^= request.EvidenceSole
	}
	unanswered := h.unansweredAt(at)
	if (e&request.EvidenceSole != 0 || !two && s.leftOne(h, c)) && unanswered && !among {
		return true // there was no other
	}
	thread := c.TID == h.req.TID && c.TID == h.req.WriterTID
	if thread && !two && h.cause == c.Links.ID && s.onlyOne(h, c, among) {
		return true
	}
	own := thread && s.patternsOf(h.req).bound(among)
	bound := e&request.EvidenceAlone != 0 || e&request.EvidenceOnly != 0 && unanswered
	clean := e&request.EvidenceClean != 0 && s.proven[c.TID]
	direct := (e&request.EvidenceDirect != 0 || clean) && !s.fouled[c.TID]
	return own && (bound || direct) && (s.ordered(h, c) || !two && s.peaceful(h, c))
}

// leftOne tells whether one request was open when a call was written beside
// those that stay open all the time.
func (s *Stitcher) leftOne(h *hop, c *call) bool {
	always := s.processOf(h.req.PID).unseen.least()
	return always > 0 && c.Links.Evidence&request.EvidenceCounted != 0 && c.Links.Open == always+1
}

// onlyOne tells whether a request that a thread read, called for and answered was
// the only one that it ever had while others were in progress, or the only one
// of its process while the kernel could not count them yet.
func (s *Stitcher) onlyOne(h *hop, c *call, among bool) bool {
	if !among {
		return c.Links.Evidence&request.EvidenceCounted == 0
	}
	return c.Links.Evidence&request.EvidenceAlone != 0 && s.patternsOf(h.req).callers() && s.patternsOf(h.req).busyHanded == 0 && s.sound(h, c)
}

// mutual: the call names the request, and its response names the call.
func (s *Stitcher) mutual(h *hop, c *call) bool {
	return h.cause == c.Links.ID && s.patternsOf(h.req).orderly() && !s.ledOn(h, c) && s.sound(h, c)
}

// ledOn tells whether a call that was opened for another request than a hop's led to
// another call for that one, or may have.
func (s *Stitcher) ledOn(h *hop, c *call) bool {
	if c.Links.For == h.ref {
		return false
	}
	other := s.hops[c.Links.For]
	return other == nil || s.calls[other.cause] == nil || slices.ContainsFunc(s.byHop[c.Links.For], func(next *call) bool {
		return next.Links.After == c.Links.ID && next.Links.For == c.Links.For
	})
}

// unansweredAt tells whether a hop's response had not begun.
func (h *hop) unansweredAt(at request.Stamp) bool {
	return !h.req.WriteFirst.Seen() || at <= h.req.WriteFirst
}

// sound tells whether what the threads did while other requests were in
// progress is no accident.
func (s *Stitcher) sound(h *hop, c *call) bool { return s.peaceful(h, c) || s.ordered(h, c) }

// among tells whether other requests of the process are known to have been
// unanswered when a call began.
func (s *Stitcher) among(h *hop, c *call) bool {
	n, one := s.processOf(h.req.PID).open(c.Used(), 2)
	return n > 1 || n == 1 && one.ref != h.ref
}

// peaceful tells whether nothing speaks against it that a hop's thread made a
// call for it: of the requests in progress between the call's start and the
// hop's response, each one's response followed on a call that names it, and none
// on this one.
func (s *Stitcher) peaceful(h *hop, c *call) bool {
	calm := true
	s.processOf(h.req.PID).during(c.Used(), max(h.req.WriteFirst, c.Used()), func(v *visit) bool {
		if v.ref == h.ref {
			return true
		}
		calm = v.cause != c.Links.ID && !s.contradicted(v.ref, v.cause)
		return calm
	})
	return calm && !s.contradicted(h.ref, h.cause)
}

// ordered tells whether each request that was unanswered when a call was written
// had one call in all, which began right where it was read. Then the
// order of reads and calls is no accident, even where responses come in batches.
// A front end that queues its calls has some with two, and some with none.
func (s *Stitcher) ordered(h *hop, c *call) bool {
	if c.Links.For != h.ref {
		return false
	}
	each := true
	s.processOf(h.req.PID).during(c.Used(), c.Used(), func(v *visit) bool {
		each = !v.openAt(c.Used()) || s.direct(v)
		return each
	})
	return each
}

// direct tells whether one call names a request, and began where it was read.
func (s *Stitcher) direct(v *visit) bool {
	n := 0
	for _, c := range s.byHop[v.ref] {
		if c.Links.For != v.ref {
			continue // it was only first written while the thread had this one
		}
		if n++; c.Links.After.Known() {
			return false
		}
	}
	return n == 1 || n == 0 && s.opened(v)
}

// opened tells whether the first call of a request's process began where the
// request was read. It names none: until then nobody noted what the threads read.
func (s *Stitcher) opened(v *visit) bool {
	p := s.processOf(v.pid)
	if len(p.calls) == 0 {
		return false
	}
	first := p.calls[0]
	if first.Links.Evidence&request.EvidenceNoReader == 0 || first.Links.For.Known() || first.Links.After.Known() || first.TID != v.tid || first.Start < v.read {
		return false
	}
	for i := p.after(first.Start) - 1; i >= 0; i-- {
		if other := p.visits[i]; other.tid == v.tid {
			return other == v
		}
	}
	return false
}

// contradicted tells whether a request's response followed on a call that names
// another request.
func (s *Stitcher) contradicted(ref, cause request.Ref) bool {
	c := s.calls[cause]
	return c != nil && c.Links.For.Known() && c.Links.For != ref && c.Links.Used != ref
}

// claim joins the call that a hop's response followed on where the call itself
// says nothing: the thread that answered made it, but reads no requests, or it
// was the first that was seen of its process, whose requests are noted since.
func (s *Stitcher) claim(h *hop) {
	c := s.calls[h.cause]
	if c == nil || c.state != undecided || c.Links.For.Known() || c.TID != h.req.WriterTID {
		return
	}
	patterns, evidence := s.patternsOf(h.req), c.Links.Evidence
	among := s.among(h, c)
	cold := !among && evidence&request.EvidenceCounted == 0 && c.Links.Open <= 1
	first := (cold || patterns.bound(among) && patterns.steady()) && c.TID == h.req.TID
	if !first && !patterns.split() && evidence&request.EvidenceSole == 0 {
		return
	}
	if c.Start >= h.req.ReadLast && h.contains(c) && s.alone(c) && s.peaceful(h, c) && !s.fitsAnother(h, c) {
		s.join(h, c)
	}
}

// alone tells whether the thread of a call had no other at the same time.
func (s *Stitcher) alone(c *call) bool {
	for _, other := range s.byWorker[c.TID] {
		if other != c && other.Start < c.End() && c.Start < other.End() {
			return false
		}
	}
	return true
}

// follow joins the calls whose answers led to a call that is joined: one after
// the other on behalf of one request.
func (s *Stitcher) follow(h *hop) {
	if !s.patternsOf(h.req).callers() {
		return
	}
	for i := 0; i < len(h.calls); i++ {
		c := h.calls[i]
		before := s.calls[c.Links.After]
		if before != nil && before.state == undecided && before.Links.For == h.ref && c.Links.For == h.ref &&
			h.contains(before) && s.processOf(h.req.PID).complete(before) && s.sound(h, before) && !s.fitsAnother(h, before) {
			s.join(h, before)
		}
	}
}

func (s *Stitcher) join(h *hop, c *call) {
	if len(h.calls) >= maxCalls {
		s.leave(c, tooMany)
		return
	}
	c.state, c.hop = joined, h
	c.SpanID = request.NewSpanID()
	if c.Start < h.req.ReadFirst { // opened in advance
		c.Start, c.Connected = c.Used(), 0
	}
	h.calls = append(h.calls, c)
	s.counts.calls.add(joined)
	if c.back != nil {
		c.learn(c.back.req)
	}
}
