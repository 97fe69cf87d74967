package stitch

import (
	"time"

	"lapwing/collectors/request"
)

// lately is how long a request counts after its answer began: a proxy may ask
// anew for what it has just answered from its store.
const lately = request.Stamp(10 * time.Millisecond)

// maxFits is how many visits before a call's start are compared with it, beside
// those that were open.
const maxFits = 128

// fit is the request that a call's head says it passes on.
type fit struct {
	of    *visit // nil: none, or several
	kind  request.Fit
	final bool // all requests that it could be are known
}

// fitOf compares the head of a call with those of the requests that were open
// when it began.
func (s *Stitcher) fitOf(p *process, c *call) fit {
	if c.fit.final || c.Links.Clue == nil {
		return c.fit
	}
	c.fit = p.fit(c)
	return c.fit
}

func (p *process) fit(c *call) fit {
	found := fit{final: p.complete(c)}
	several, open := false, uint32(0)
	end := p.after(c.Used())
	for i := end - 1; i >= max(0, end-maxScanned) && !several; i-- {
		v := p.visits[i]
		if end-i > maxFits && open >= c.Links.Open {
			break
		}
		if v.openAt(c.Used()) {
			open++
		}
		if c.Used() > v.answered+lately {
			continue
		}
		kind := c.Links.Clue.Fits(v.clue, v.peer)
		switch {
		case kind == request.FitNone, kind == request.FitLines && found.kind > kind:
		case kind > request.FitLines && found.kind <= request.FitLines, found.of == nil && found.kind == request.FitNone:
			found.of, found.kind = v, kind
		case kind > request.FitLines:
			several = true
		default:
			found.of = nil // several whose target is another
		}
	}
	if several || found.of != nil && !found.of.openAt(c.Used()) {
		return fit{final: found.final}
	}
	return found
}

// tells tells whether a service's calls have heads that say what they are for.
func (h *patterns) tells(kind request.Fit) bool {
	if h.rewritten*20 > h.passed+h.bare {
		return false // the target is not what was read
	}
	switch kind {
	case request.FitBoth:
		return true
	case request.FitTarget: // not a check of the server's own, whose target happens to be the same
		return h.bare >= fewest && h.passed*20 <= h.bare
	}
	return false
}

// learnFits takes the heads of a request's calls into its service's patterns.
func (s *Stitcher) learnFits(h *hop, patterns *patterns) {
	p := s.processOf(h.req.PID)
	for _, c := range p.callsIn(h.req.ReadFirst, h.req.End()) {
		if c.judged || c.Links.Clue == nil {
			continue
		}
		f := s.fitOf(p, c)
		if f.kind == request.FitLines && f.final {
			c.judged = true
			patterns.rewritten++
			continue
		}
		if f.of == nil || f.of.ref != h.ref {
			continue
		}
		c.judged = true
		switch f.kind {
		case request.FitBoth:
			patterns.passed++
		case request.FitTarget:
			patterns.bare++
		}
	}
	if patterns.passed+patterns.bare+patterns.rewritten > recent {
		patterns.passed, patterns.bare, patterns.rewritten = patterns.passed/2, patterns.bare/2, patterns.rewritten/2
	}
}

// match joins the calls whose head says that they pass a hop's request on, and
// those that began while it was the only request, where nothing else is known
// of them.
func (s *Stitcher) match(h *hop) {
	p := s.processOf(h.req.PID)
	for _, c := range p.callsIn(h.req.ReadFirst, h.req.End()) {
		if c.state == undecided && (s.passesOn(p, h, c) || s.loneliest(p, h, c)) {
			s.join(h, c)
		}
	}
}

// passesOn tells whether a call's head says that it is a hop's, and no thread
// says that it is another's.
func (s *Stitcher) passesOn(p *process, h *hop, c *call) bool {
	f := s.fitOf(p, c)
	if !f.final || f.of == nil || f.of.ref != h.ref || !s.patternsOf(h.req).tells(f.kind) {
		return false
	}
	if s.takesAnothers(p, h, c) {
		return false
	}
	for _, ref := range [...]request.Ref{c.Links.For, c.Links.Used} {
		other := s.hops[ref]
		if other != nil && other != h && other.req != nil && !other.done && other.contains(c) && s.certain(other, c) {
			return false
		}
	}
	return true
}

// takesAnothers tells whether a request beside a hop has no call that looks like
// it, and a call that looks like the hop's may be that one's, with another head:
// there are several, or it is not known yet that heads are passed on.
func (s *Stitcher) takesAnothers(p *process, h *hop, c *call) (takes bool) {
	if s.patternsOf(h.req).passed >= fewest && s.fitting(p, h.ref, h.req.ReadFirst, h.req.End()) < 2 {
		return false
	}
	p.during(c.Used(), c.Used(), func(v *visit) bool {
		takes = v.ref != h.ref && v.openAt(c.Used()) && s.fitting(p, v.ref, v.read, v.end) == 0
		return !takes
	})
	return takes
}

// fitting is how many calls of a span of time look like one request's, at most 2.
func (s *Stitcher) fitting(p *process, ref request.Ref, from, to request.Stamp) (n int) {
	for _, c := range p.callsIn(from, to) {
		if f := s.fitOf(p, c); f.of != nil && f.of.ref == ref && n < 2 {
			n++
		}
	}
	return n
}

// loneliest tells whether a hop was the only request of its process when a
// call began of which the thread says nothing.
func (s *Stitcher) loneliest(p *process, h *hop, c *call) bool {
	if c.Links.For.Known() || c.Links.Evidence&c.Links.UseEvidence&request.EvidenceSole == 0 {
		return false
	}
	n, one := p.open(c.Used(), 2)
	return n == 1 && one.ref == h.ref
}

// waits tells whether a call of a hop can be known only when more requests are.
func (s *Stitcher) waits(h *hop) bool {
	if !h.req.Links.Calls {
		return false
	}
	p := s.processOf(h.req.PID)
	for _, c := range p.callsIn(h.req.ReadFirst, h.req.End()) {
		if c.state != undecided {
			continue
		}
		if s.cold(c) {
			return true
		}
		if c.Links.Clue == nil {
			continue
		}
		f := s.fitOf(p, c)
		if f.of == nil || f.of.ref != h.ref {
			continue
		}
		if !f.final || c.Links.For.Known() && s.hops[c.Links.For] == nil {
			return true
		}
	}
	return false
}

// cold tells whether requests may have been in progress when a call began that
// neither were counted nor have come yet.
func (s *Stitcher) cold(c *call) bool {
	return c.Links.Evidence&request.EvidenceCounted == 0 && s.age(c.Used()) < uncounted
}

// uncounted is how long a call that was made before its process's requests
// were counted waits for them to come.
const uncounted = time.Second + settle

// fitsAnother tells whether a call's head says that it is of another request.
func (s *Stitcher) fitsAnother(h *hop, c *call) bool {
	f := s.fitOf(s.processOf(h.req.PID), c)
	return f.of != nil && f.of.ref != h.ref
}

// mayBeAnother tells whether a call may be another request's than a hop's, which
// may be decided on later.
func (s *Stitcher) mayBeAnother(h *hop, c *call) bool {
	if other := s.hops[c.names(h)]; other != nil && !other.done {
		return true
	}
	if c.Links.Clue == nil {
		return false
	}
	f := s.fitOf(s.processOf(c.PID), c)
	return !f.final || f.of != nil && f.of.ref != h.ref
}
