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
		switch {
		case c.state != undecided:
		case !h.contains(c):
			s.leave(c, outside)
		case s.certain(h, c):
			s.join(h, c)
		}
	}
	s.claim(h)
	s.follow(h)
	for _, c := range said {
		s.leave(c, ambiguous)
	}
	slices.SortFunc(h.calls, func(a, b *call) int { return int(a.Start) - int(b.Start) })
	for _, c := range h.calls {
		h.req.Calls = append(h.req.Calls, c.Call)
	}
}

// contains tells whether a call began while its hop was being worked on.
func (h *hop) contains(c *call) bool {
	r := h.req
	return c.Start >= r.ReadFirst && c.Start <= max(r.WriteLast, r.Closed)
}

// certain tells whether a call that says it was made for a hop was.
func (s *Stitcher) certain(h *hop, c *call) bool {
	e, habits := c.Links.Evidence, s.habitsOf(h.req)
	unanswered := !h.req.WriteFirst.Seen() || c.Start <= h.req.WriteFirst
	own := habits.bound() && c.TID == h.req.TID && c.TID == h.req.WriterTID
	switch {
	case e&request.EvidenceSole != 0 && unanswered:
		return true // there was no other
	case e&request.EvidenceAlone != 0 && own:
		return true
	case e&request.EvidenceOnly != 0 && own && unanswered:
		return true
	case h.cause == c.Links.ID && habits.orderly(): // each names the other
		return true
	}
	return e&request.EvidenceDirect != 0 && own && !s.fouled[c.TID]
}

// claim joins the call that a hop's response followed on where the call itself
// says nothing: the thread that answered made it, but reads no requests, or it
// was the first that was seen of its process, whose requests are noted since.
func (s *Stitcher) claim(h *hop) {
	c := s.calls[h.cause]
	if c == nil || c.state != undecided || c.Links.For.Known() || c.TID != h.req.WriterTID {
		return
	}
	habits, evidence := s.habitsOf(h.req), c.Links.Evidence
	first := habits.bound() && habits.steady() && c.TID == h.req.TID
	if !first && !habits.split() && evidence&request.EvidenceSole == 0 {
		return
	}
	if c.Start >= h.req.ReadLast && h.contains(c) && s.alone(c) {
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
	for i := 0; i < len(h.calls); i++ {
		before := s.calls[h.calls[i].Links.After]
		if before != nil && before.state == undecided && before.Links.For == h.calls[i].Links.For && h.contains(before) {
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
	h.calls = append(h.calls, c)
	s.counts.calls.add(joined)
	if c.back != nil {
		c.learn(c.back.req)
	}
}
