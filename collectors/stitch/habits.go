package stitch

import "lapwing/collectors/request"

// habits are what the requests of one service tell of how its threads share
// the work. Clues that a thread gives are worth something only where they fit.
type habits struct {
	same   int // requests that were answered by the thread that read them
	handed int // requests that another thread answered
	agree  int // requests whose response followed on a call that names them
	differ int // requests whose response followed on a call that names another
}

const (
	fewest    = 20   // so many requests make a habit
	recent    = 1000 // older ones count less and less
	maxHabits = 4096 // services
)

// bound: a request stays on its thread.
func (h *habits) bound() bool { return h.same >= fewest && h.handed*50 <= h.same }

// split: some threads read requests, and others answer them.
func (h *habits) split() bool { return h.handed >= fewest && h.same*50 <= h.handed }

// steady: nothing speaks against it that a thread does all of a request in
// one go.
func (h *habits) steady() bool { return h.differ*20 <= h.agree }

// orderly: a thread reads and calls, and reads and answers, in one go.
func (h *habits) orderly() bool { return h.agree >= fewest && h.steady() }

// habitsOf returns the habits of a request's service.
func (s *Stitcher) habitsOf(r *request.Request) *habits {
	h := s.habits[r.Service]
	if h == nil {
		if len(s.habits) >= maxHabits {
			clear(s.habits)
		}
		h = new(habits)
		s.habits[r.Service] = h
	}
	return h
}

// learn takes a request into its service's habits, before anything is decided
// about it.
func (s *Stitcher) learn(h *hop) {
	h.learnt = true
	habits := s.habitsOf(h.req)
	if h.req.WriterTID == h.req.TID {
		habits.same++
	} else if h.req.WriterTID != 0 {
		habits.handed++
	}
	if habits.same+habits.handed > recent {
		habits.same, habits.handed = habits.same/2, habits.handed/2
	}
	c := s.calls[h.cause]
	if c == nil || !c.Links.For.Known() || c.Links.Evidence&(request.EvidenceOnly|request.EvidenceSole) != 0 {
		return // nothing could have been mistaken for it
	}
	if c.Links.For == h.ref {
		habits.agree++
	} else {
		habits.differ++
	}
	if habits.agree+habits.differ > recent {
		habits.agree, habits.differ = habits.agree/2, habits.differ/2
	}
}
