package stitch

import (
	"time"

	"lapwing/collectors/request"
)

// The limits of what a Stitcher holds, and for how long.
const (
	// settle is how long after its end a request with calls is decided on. Calls on
	// kept-alive connections are known up to half a second after their end.
	settle = 750 * time.Millisecond
	// learning is how long before that decision a request is added to the patterns
	// of its service, if it was passed in by then.
	learning = 150 * time.Millisecond
	// patience is how long a back end's request waits for its front end's request.
	patience = 5 * time.Second
	// retain is how long a decision is remembered for what comes late.
	retain = 2 * time.Second
	// DefaultLimit is the default of Options.Limit.
	DefaultLimit = 1 << 15
)

// Options are the parameters of a Stitcher.
type Options struct {
	// Export takes each request once, when its identifiers are final. The request
	// is valid until Export returns.
	Export func(*request.Request)
	// Limit is the maximum number of requests that are held, and of calls. Zero
	// means DefaultLimit.
	Limit int
}

// Stitcher joins requests and calls into traces. Only Counts is safe for concurrent
// use. All other methods must be called from one goroutine.
type Stitcher struct {
	opts   Options
	counts counters
	now    request.Stamp // time of the last Tick

	hops     map[request.Ref]*hop  // requests that are held, or were until recently
	calls    map[request.Ref]*call // by their id
	byConn   map[uint64][]*call    // by their connection
	byHop    map[request.Ref][]*call
	byWorker map[uint32][]*call   // calls of threads that read no requests
	fouled   map[uint32]bool      // threads whose order of events says nothing
	proven   map[uint32]bool      // threads whose order of events is significant
	patterns map[string]*patterns // by service

	processes map[uint32]*process

	heldHops  []*hop // oldest first, like heldCalls
	heldCalls []*call
	holding   int // hops that are not exported yet
	flushing  bool
}

// New returns a Stitcher.
func New(opts Options) *Stitcher {
	if opts.Limit == 0 {
		opts.Limit = DefaultLimit
	}
	return &Stitcher{
		opts:     opts,
		now:      request.Now(),
		hops:     make(map[request.Ref]*hop),
		calls:    make(map[request.Ref]*call),
		byConn:   make(map[uint64][]*call),
		byHop:    make(map[request.Ref][]*call),
		byWorker: make(map[uint32][]*call),
		fouled:   make(map[uint32]bool),
		proven:   make(map[uint32]bool),
		patterns: make(map[string]*patterns),

		processes: make(map[uint32]*process),
	}
}

// Request takes a finished request. A request that is not related to others on this
// host is exported before Request returns.
func (s *Stitcher) Request(r *request.Request) {
	if r.Links.Caller == 0 && !r.Links.Calls {
		s.opts.Export(r)
		return
	}
	if s.holding >= s.opts.Limit || len(s.heldHops) >= 2*s.opts.Limit {
		s.countUnjoined(r, queueFull)
		s.opts.Export(r)
		return
	}
	s.visited(r)
	s.hold(&hop{req: r.Clone(), ref: refOf(r), called: r.Links.Caller, cause: r.Links.Cause})
	s.holding++
}

// Hide takes a request that is not exported, so that nothing waits for it.
func (s *Stitcher) Hide(r *request.Request) {
	s.visited(r)
	h := &hop{ref: refOf(r), hidden: true, done: true}
	s.hold(h)
	for _, c := range s.byHop[h.ref] {
		s.leave(c, filtered)
	}
}

func refOf(r *request.Request) request.Ref { return request.Ref{Conn: r.Conn, Seq: r.Seq} }

func (s *Stitcher) hold(h *hop) {
	h.since, h.over = s.now, s.now
	if h.req != nil && h.req.End().Seen() {
		h.over = min(h.over, h.req.End())
	}
	s.hops[h.ref] = h
	s.heldHops = append(s.heldHops, h)
}

// Call takes a call, or an update of a call that is already known.
func (s *Stitcher) Call(c *request.Call) {
	if known := s.calls[c.Links.ID]; known != nil {
		if known.state == undecided {
			*known.Call, known.since = *c, s.now
		}
		return
	}
	if c.Links.Again {
		return // the decision about it is already forgotten
	}
	if len(s.heldCalls) >= s.opts.Limit {
		s.leave(s.heldCalls[0], queueFull)
		s.drop(s.heldCalls[0])
		s.heldCalls = s.heldCalls[1:]
	}
	s.take(&call{Call: c, since: s.now})
}

func (s *Stitcher) take(c *call) {
	links := c.Links
	s.calls[links.ID] = c
	s.byConn[links.ID.Conn] = append(s.byConn[links.ID.Conn], c)
	s.heldCalls = append(s.heldCalls, c)
	s.processOf(c.PID).began(c)
	if links.Evidence&request.EvidenceFoul != 0 {
		s.fouled[c.TID] = true
	}
	if links.Evidence&request.EvidenceDirect != 0 {
		s.proven[c.TID] = true
	}
	switch {
	case links.For.Known(), links.Used.Known():
		s.name(c, links.For)
		if links.Used != links.For {
			s.name(c, links.Used)
		}
	case links.Evidence&request.EvidenceNoReader != 0:
		s.byWorker[c.TID] = append(s.byWorker[c.TID], c)
	case links.Clue != nil: // its head may decide
	default:
		s.leave(c, noRequest)
	}
}

// name adds a call to the calls that name a request.
func (s *Stitcher) name(c *call, ref request.Ref) {
	if !ref.Known() {
		return
	}
	s.byHop[ref] = append(s.byHop[ref], c)
	if h := s.hops[ref]; h != nil && h.done {
		s.tooLate(h, c)
	}
}

// tooLate takes a call of a request that was already exported without it.
func (s *Stitcher) tooLate(h *hop, c *call) {
	if h.hidden {
		s.leave(c, filtered)
		return
	}
	if c.Links.For == h.ref {
		s.learnNamed(h, c, s.patternsOf(h.req))
	}
	if !s.mayBeAnother(h, c) {
		s.leave(c, late)
	}
}

// Tick exports the requests that are decided, and those that have waited long
// enough.
func (s *Stitcher) Tick(now request.Stamp) {
	s.now = now
	s.learnAll()
	for _, h := range s.heldHops {
		s.try(h, s.age(h.since) >= patience)
	}
	s.expireCalls(patience)
	s.forget()
}

// Flush exports everything. Each round decides what the previous one made possible.
// The last round decides the rest.
func (s *Stitcher) Flush() {
	s.flushing = true
	s.learnAll()
	for before := -1; before != s.holding; {
		before = s.holding
		for _, h := range s.heldHops {
			s.try(h, false)
		}
	}
	for _, h := range s.heldHops {
		s.try(h, true)
	}
	s.expireCalls(0)
}

// learnAll learns from the requests on which is decided next.
func (s *Stitcher) learnAll() {
	for _, h := range s.heldHops {
		if !h.learnt && !h.hidden && h.req.Links.Calls && (s.age(h.over) >= settle-learning || s.flushing) {
			s.learn(h)
		}
	}
}

// settled reports whether all calls that a hop made must be known by now.
func (s *Stitcher) settled(h *hop) bool {
	known := s.age(h.over) >= settle && s.age(h.since) >= learning
	return !h.req.Links.Calls || known || s.flushing
}

func (s *Stitcher) age(since request.Stamp) time.Duration {
	if since > s.now {
		return 0
	}
	return time.Duration(s.now - since)
}

// try exports a hop if its parent is known. With last it exports the hop in any
// case.
func (s *Stitcher) try(h *hop, last bool) {
	if h.done || !s.settled(h) || !last && !s.flushing && s.waits(h) {
		return
	}
	parent, c, reason := s.parentOf(h)
	switch {
	case reason == undecided && !last:
		return
	case reason == undecided:
		reason = s.whyUndecided(c)
	case reason == joined:
		h.joinTo(parent, c)
	}
	if h.called != 0 {
		s.counts.hops.add(reason)
	}
	s.finish(h)
}

// finish decides which calls belong to a hop and exports the hop with them. Then it
// tries the hops that waited for it.
func (s *Stitcher) finish(h *hop) {
	request.AssignIDs(h.req)
	s.decide(h)
	h.done = true
	s.holding--
	s.opts.Export(h.req)
	for _, c := range h.calls {
		if c.back != nil {
			s.try(c.back, false)
		}
	}
	h.calls = nil
}
