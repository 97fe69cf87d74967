package stitch

import "lapwing/collectors/request"

// patterns are what the requests of one service tell of how its threads share
// the work. Clues that a thread gives are worth something only where they fit.
type patterns struct {
	same   int // requests that were answered by the thread that read them
	handed int // requests that another thread answered
	agree  int // requests whose response followed on a call that names them
	differ int // requests whose response followed on a call that names another

	// Of those that were not alone in their process:
	busySame   int
	busyHanded int

	named int // calls that began while the request that they name was worked on
	stale int // calls that began when it was over, while another one had none, or on another thread than its

	mixed int // requests that a thread answered while a call of its own was under way

	passed    int // calls with the target and lines of one request
	bare      int // calls with the target of one, and none of its lines
	rewritten int // calls with the lines of one, and another target
}

const (
	fewest      = 20   // so many requests make a pattern
	recent      = 1000 // older ones count less and less
	maxPatterns = 4096 // services
)

// bound: a request stays on its thread, also while there are others: what a
// thread has to itself in a calm hour says nothing of a busy one.
func (h *patterns) bound(busy bool) bool {
	if !h.callers() {
		return false
	}
	if busy {
		return h.busySame >= fewest && h.busyHanded*50 <= h.busySame
	}
	return h.same >= fewest && h.handed*50 <= h.same
}

// split: some threads read requests, and others answer them.
func (h *patterns) split() bool { return h.handed >= fewest && h.same*50 <= h.handed && h.mixed == 0 }

// steady: nothing speaks against it that a thread does all of a request in
// one go.
func (h *patterns) steady() bool { return h.differ*20 <= h.agree }

// orderly: a thread reads and calls, and reads and answers, in one go.
func (h *patterns) orderly() bool { return h.agree >= fewest && h.steady() && h.callers() }

// callers: the threads that call are those that read.
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

// learn takes a request into its service's patterns, before anything is decided
// about it.
func (s *Stitcher) learn(h *hop) {
	h.learnt = true
	patterns := s.patternsOf(h.req)
	patterns.stayed(h.req, s.busy(h))
	s.learnFits(h, patterns)
	s.learnThreads(h, patterns)
	c := s.calls[h.cause]
	if c == nil || !c.Links.For.Known() || c.Links.Evidence&(request.EvidenceOnly|request.EvidenceSole) != 0 {
		return // nothing could have been mistaken for it
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

// learnThreads takes in whether the calls of a request are made by the thread that
// read it: those that began while it was alone, and those that name it.
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

// learnNamed takes in whether a call can have been made for the request that it
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

// unnamed tells whether a request that no call names was open when a call was
// written.
func (s *Stitcher) unnamed(p *process, c *call) (found bool) {
	p.during(c.Used(), c.Used(), func(v *visit) bool {
		found = v.openAt(c.Used()) && len(s.byHop[v.ref]) == 0
		return !found
	})
	return found
}

// stayed takes in whether a request stayed on its thread.
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

// busy tells whether another request of its process was in progress at the same
// time as a hop.
func (s *Stitcher) busy(h *hop) (busy bool) {
	s.processOf(h.req.PID).during(h.req.ReadFirst, h.req.End(), func(v *visit) bool {
		busy = v.ref != h.ref
		return !busy
	})
	return busy
}
