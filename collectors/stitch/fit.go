package stitch

import (
	"time"

	"lapwing/collectors/request"
)

// lately is how long a request is still compared after its answer started: a proxy
// may request again what it has just answered from its cache.
const lately = request.Stamp(10 * time.Millisecond)

// maxFits is how many visits before a call's start are compared with it, in
// addition to those that were open.
const maxFits = 128

// fit is the request that a call passes on, according to its head.
type fit struct {
	of    *visit // nil if there is none, or several
	kind  request.Fit
	final bool // all requests that may fit are known
}

// fitOf compares the head of a call with those of the requests that were open when
// it started.
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
			found.of = nil // several requests with another target
		}
	}
	if several || found.of != nil && !found.of.openAt(c.Used()) {
		return fit{final: found.final}
	}
	return found
}

// tells reports whether the heads of a service's calls show which request they pass
// on.
func (h *patterns) tells(kind request.Fit) bool {
	if h.rewritten*20 > h.passed+h.bare {
		return false // the service changes the target
	}
	switch kind {
	case request.FitBoth:
		return true
	case request.FitTarget: // only if the service passes on no header lines; else it may be a check of its own with the same target
		return h.bare >= fewest && h.passed*20 <= h.bare
	}
	return false
}

// learnFits adds the heads of a request's calls to the patterns of its service.
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

// match joins the calls whose head shows that they pass on a hop's request. It also
// joins calls about which nothing else is known, if they started while the hop was
// the only request.
func (s *Stitcher) match(h *hop) {
	p := s.processOf(h.req.PID)
	for _, c := range p.callsIn(h.req.ReadFirst, h.req.End()) {
		if c.state == undecided && (s.passesOn(p, h, c) || s.loneliest(p, h, c)) {
			s.join(h, c)
		}
	}
}

// passesOn reports whether a call passes on the hop's request according to its
// head, and no thread says that it belongs to another request.
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

// takesAnothers reports whether a call that looks like the hop's may belong to
// another request, with a changed head. This is so if another open request has no
// call that looks like it, and either several calls look like the hop's or it is
// not known yet that the service passes heads on.
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

// fitting returns how many calls of a time span look like one request's, at most 2.
func (s *Stitcher) fitting(p *process, ref request.Ref, from, to request.Stamp) (n int) {
	for _, c := range p.callsIn(from, to) {
		if f := s.fitOf(p, c); f.of != nil && f.of.ref == ref && n < 2 {
			n++
		}
	}
	return n
}

// loneliest reports whether a hop was the only request of its process when a call
// started, if the thread of the call names no request.
func (s *Stitcher) loneliest(p *process, h *hop, c *call) bool {
	if c.Links.For.Known() || c.Links.Evidence&c.Links.UseEvidence&request.EvidenceSole == 0 {
		return false
	}
	n, one := p.open(c.Used(), 2)
	return n == 1 && one.ref == h.ref
}

// waits reports whether a call of a hop can be decided only when more requests are
// known.
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

// cold reports whether requests may have been in progress when a call started that
// were not counted and have not come yet.
func (s *Stitcher) cold(c *call) bool {
	return c.Links.Evidence&request.EvidenceCounted == 0 && s.age(c.Used()) < uncounted
}

// uncounted is how long a call waits for the requests of its process, if it was
// made before these were counted.
const uncounted = time.Second + settle

// fitsAnother reports whether a call belongs to another request according to its
// head.
func (s *Stitcher) fitsAnother(h *hop, c *call) bool {
	f := s.fitOf(s.processOf(h.req.PID), c)
	return f.of != nil && f.of.ref != h.ref
}

// mayBeAnother reports whether a call may belong to a request other than the hop's,
// on which will be decided later.
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
