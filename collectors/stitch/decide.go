package stitch

import (
	"slices"

	"lapwing/collectors/request"
)

// maxCalls is how many calls are kept for one request.
const maxCalls = 256

// decide decides which calls were made for a hop, and adds them to its request.
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
		case s.mayBeAnother(h, c): // it may be reported later
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

// contains reports whether a call started while the server worked on the hop.
func (h *hop) contains(c *call) bool {
	r := h.req
	at := c.Start
	if c.Links.For != h.ref {
		at = c.Used()
	}
	return at >= r.ReadFirst && max(at, c.Used()) <= max(r.WriteLast, r.Closed)
}

// names returns the other request that a call names, if it names two.
func (c *call) names(h *hop) request.Ref {
	switch {
	case c.Links.For == c.Links.Used, !c.Links.Used.Known():
		return request.Ref{}
	case c.Links.For == h.ref:
		return c.Links.Used
	}
	return c.Links.For
}

// certain reports whether a call was certainly made for a hop that it names. If its
// connection was opened for one request and first used after the thread had read
// another one, the call belongs to the request whose response followed it, or to
// the only request in progress.
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
		return true // there was no other request
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

// leftOne reports whether exactly one request was open when a call was written, not
// counting those that never end.
func (s *Stitcher) leftOne(h *hop, c *call) bool {
	always := s.processOf(h.req.PID).unseen.least()
	return always > 0 && c.Links.Evidence&request.EvidenceCounted != 0 && c.Links.Open == always+1
}

// onlyOne reports whether a call can only belong to the hop, whose request the
// thread of the call read and answered. If other requests were in progress, the
// thread must never have had two at once. Otherwise the kernel must not have
// counted the requests of the process yet.
func (s *Stitcher) onlyOne(h *hop, c *call, among bool) bool {
	if !among {
		return c.Links.Evidence&request.EvidenceCounted == 0
	}
	return c.Links.Evidence&request.EvidenceAlone != 0 && s.patternsOf(h.req).callers() && s.patternsOf(h.req).busyHanded == 0 && s.sound(h, c)
}

// mutual reports whether the call names the request and the response of the request
// names the call.
func (s *Stitcher) mutual(h *hop, c *call) bool {
	return h.cause == c.Links.ID && s.patternsOf(h.req).orderly() && !s.ledOn(h, c) && s.sound(h, c)
}

// ledOn reports whether a call whose connection was opened for another request led
// to another call for that request, or may have.
func (s *Stitcher) ledOn(h *hop, c *call) bool {
	if c.Links.For == h.ref {
		return false
	}
	other := s.hops[c.Links.For]
	return other == nil || s.calls[other.cause] == nil || slices.ContainsFunc(s.byHop[c.Links.For], func(next *call) bool {
		return next.Links.After == c.Links.ID && next.Links.For == c.Links.For
	})
}

// unansweredAt reports whether a hop's response had not started at a moment.
func (h *hop) unansweredAt(at request.Stamp) bool {
	return !h.req.WriteFirst.Seen() || at <= h.req.WriteFirst
}

// sound reports whether the behaviour of the threads is more than chance, given
// that other requests were in progress.
func (s *Stitcher) sound(h *hop, c *call) bool { return s.peaceful(h, c) || s.ordered(h, c) }

// among reports whether other requests of the process were certainly unanswered
// when a call started.
func (s *Stitcher) among(h *hop, c *call) bool {
	n, one := s.processOf(h.req.PID).open(c.Used(), 2)
	return n > 1 || n == 1 && one.ref != h.ref
}

// peaceful reports whether no other request contradicts that a hop's thread made a
// call for it. It looks at the requests in progress between the call's start and
// the hop's response. No response may have followed a call that names another
// request, and none but the hop's may have followed this call.
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

// ordered reports whether each request that was unanswered when a call was written
// had exactly one call, which started right where the request was read. Then the
// order of reads and calls is not chance, even if responses come in batches. In a
// front end that queues its calls, some requests have two calls and some have none.
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

// direct reports whether exactly one call names a request and started where the
// request was read.
func (s *Stitcher) direct(v *visit) bool {
	n := 0
	for _, c := range s.byHop[v.ref] {
		if c.Links.For != v.ref {
			continue // the connection was only first used while the thread had this request
		}
		if n++; c.Links.After.Known() {
			return false
		}
	}
	return n == 1 || n == 0 && s.opened(v)
}

// opened reports whether the first call of a request's process started where the
// request was read. This call names no request, because the probes did not record
// yet which request each thread reads.
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

// contradicted reports whether a request's response followed a call that names
// another request.
func (s *Stitcher) contradicted(ref, cause request.Ref) bool {
	c := s.calls[cause]
	return c != nil && c.Links.For.Known() && c.Links.For != ref && c.Links.Used != ref
}

// claim joins the call that a hop's response followed, if the call itself names no
// request. This has two cases. Either the thread that answered made the call, but
// reads no requests. Or the call was the first one that was seen of its process,
// whose requests are recorded only since then.
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

// alone reports whether the thread of a call had no other call at the same time.
func (s *Stitcher) alone(c *call) bool {
	for _, other := range s.byWorker[c.TID] {
		if other != c && other.Start < c.End() && c.Start < other.End() {
			return false
		}
	}
	return true
}

// follow joins the calls whose answers led to a call that is joined: calls for one
// request, one after the other.
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
	if c.Start < h.req.ReadFirst { // the connection was opened in advance
		c.Start, c.Connected = c.Used(), 0
	}
	h.calls = append(h.calls, c)
	s.counts.calls.add(joined)
	if c.back != nil {
		c.learn(c.back.req)
	}
}
