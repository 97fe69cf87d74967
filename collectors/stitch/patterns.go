package stitch

import "lapwing/collectors/request"

// patterns describe how the threads of one service share the work, as learned from
// its requests. The clues of a thread count only if they match the patterns.
type patterns struct {
	same   int // requests answered by the thread that read them
	handed int // requests answered by another thread
	agree  int // requests whose response followed a call that names them
	differ int // requests whose response followed a call that names another request

	// The same for requests that were not alone in their process:
	busySame   int
	busyHanded int

	named int // calls that started while the request that they name was in progress
	stale int // calls that started when the request that they name was over while another request had no call, or on another thread than the request's

	mixed int // requests that a thread answered while a call of its own was in progress

	passed    int // calls with the target and lines of one request
	bare      int // calls with the target of one request, and none of its lines
	rewritten int // calls with the lines of one request, and another target
}

const (
	fewest      = 20   // number of requests that make a pattern
	recent      = 1000 // limit of a counter pair; it is halved then, so that older requests count less and less
	maxPatterns = 4096 // services
)

// bound reports whether a request stays on its thread. With busy it reports whether
// this holds while other requests are in progress, because behaviour in a quiet
// hour says nothing about a busy one.
func (h *patterns) bound(busy bool) bool {
	if !h.callers() {
		return false
	}
	if busy {
		return h.busySame >= fewest && h.busyHanded*50 <= h.busySame
	}
	return h.same >= fewest && h.handed*50 <= h.same
}

// split reports whether some threads read requests and others answer them.
func (h *patterns) split() bool { return h.handed >= fewest && h.same*50 <= h.handed && h.mixed == 0 }

// steady reports whether nothing contradicts that a thread handles a request
// without doing others in between.
func (h *patterns) steady() bool { return h.differ*20 <= h.agree }

// orderly reports whether a thread reads and calls, and reads and answers, without
// handling other requests in between.
func (h *patterns) orderly() bool { return h.agree >= fewest && h.steady() && h.callers() }

// callers reports whether the threads that make calls are those that read the
// requests.
func (h *patterns) callers() bool { return h.stale*20 <= h.named }

// patternsOf returns the patterns of a request's service.
func (s *Stitcher) patternsOf(r *request.Request) *patterns {
	h := s.patterns[r.Service]
	if h == nil {
		if len(s.patterns) >= maxPatterns {
			clear(s.patterns)
		}
		h = new(patterns)
		s.patterns[r.Service] = h
	}
	return h
}

// learn adds a request to the patterns of its service, before anything is decided
// about it.
func (s *Stitcher) learn(h *hop) {
	h.learnt = true
	patterns := s.patternsOf(h.req)
	patterns.stayed(h.req, s.busy(h))
	s.learnFits(h, patterns)
	s.learnThreads(h, patterns)
	c := s.calls[h.cause]
	if c == nil || !c.Links.For.Known() || c.Links.Evidence&(request.EvidenceOnly|request.EvidenceSole) != 0 {
		return // the call could not be confused with another one
	}
	if c.Links.For == h.ref {
		patterns.agree++
	} else {
		patterns.differ++
	}
	if patterns.agree+patterns.differ > recent {
		patterns.agree, patterns.differ = patterns.agree/2, patterns.differ/2
	}
}

// learnThreads learns whether the calls of a request are made by the thread that
// read it. It looks at the calls that started while the request was alone, and at
// those that name it.
func (s *Stitcher) learnThreads(h *hop, patterns *patterns) {
	for _, c := range s.byWorker[h.req.WriterTID] {
		if c.Used() < h.req.WriteFirst && h.req.WriteFirst < c.End() {
			patterns.mixed++
		}
	}
	p := s.processOf(h.req.PID)
	for _, c := range p.callsIn(h.req.ReadFirst, h.req.WriteFirst) {
		if n, one := p.open(c.Used(), 2); n == 1 && one.ref == h.ref && c.TID != h.req.TID {
			patterns.stale++
		}
	}
	for _, c := range s.byHop[h.ref] {
		if c.Links.For == h.ref {
			s.learnNamed(h, c, patterns)
		}
	}
}

// learnNamed learns whether a call can have been made for the request that it
// names.
func (s *Stitcher) learnNamed(h *hop, c *call, patterns *patterns) {
	if h.unansweredAt(c.Used()) {
		patterns.named++
	} else if s.unnamed(s.processOf(c.PID), c) {
		patterns.stale++
	}
	if patterns.named+patterns.stale > recent {
		patterns.named, patterns.stale = patterns.named/2, patterns.stale/2
	}
}

// unnamed reports whether a request that no call names was open when a call was
// written.
func (s *Stitcher) unnamed(p *process, c *call) (found bool) {
	p.during(c.Used(), c.Used(), func(v *visit) bool {
		found = v.openAt(c.Used()) && len(s.byHop[v.ref]) == 0
		return !found
	})
	return found
}

// stayed learns whether a request stayed on its thread.
func (h *patterns) stayed(r *request.Request, busy bool) {
	if r.WriterTID == 0 {
		return
	}
	same, handed := &h.same, &h.handed
	for range 2 {
		if r.WriterTID == r.TID {
			*same++
		} else {
			*handed++
		}
		if *same+*handed > recent {
			*same, *handed = *same/2, *handed/2
		}
		if !busy {
			return
		}
		same, handed = &h.busySame, &h.busyHanded
	}
}

// busy reports whether another request of the process was in progress at the same
// time as the hop.
func (s *Stitcher) busy(h *hop) (busy bool) {
	s.processOf(h.req.PID).during(h.req.ReadFirst, h.req.End(), func(v *visit) bool {
		busy = v.ref != h.ref
		return !busy
	})
	return busy
}
