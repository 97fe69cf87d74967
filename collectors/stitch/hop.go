package stitch

import (
	"slices"
	"sort"
	"time"

	"lapwing/collectors/request"
)

// hop is a request that is related to others on this host.
type hop struct {
	req    *request.Request
	ref    request.Ref
	called uint64        // connection of the call that caused it; 0 if no local server made it
	cause  request.Ref   // the call that its response followed
	since  request.Stamp // time when it was passed in
	over   request.Stamp // its end, or since if that was not seen
	hidden bool          // not exported, because the filter leaves it out
	done   bool          // exported, or hidden
	learnt bool          // added to the patterns of its service
	calls  []*call
}

// call is a call that is held.
type call struct {
	*request.Call
	since request.Stamp
	state state
	hop   *hop // the hop that it is joined to
	back  *hop // the request that it made at a back end, if that waits for it

	fit    fit
	judged bool // its head was added to the patterns of its service

	outlived bool // the request that it names was seen and is forgotten
}

// state is what was decided about a call or a hop. The states after joined are the
// reasons why it was not joined.
type state uint8

const (
	undecided state = iota
	joined
	ambiguous // several requests were in progress on the thread, and the clues do not agree
	noRequest // the thread worked on no request
	outside   // the call started when its request was over
	late      // the call ended after its request was passed on
	notSeen   // the other end was never reported
	filtered  // the filter leaves the request out
	queueFull // too many were held
	tooMany   // the request made more calls than are kept for one
	notJoined // the call at the other end was not joined to a request
	numStates
)

var stateNames = [numStates]string{
	"", "", "ambiguous", "no_request", "outside", "late", "not_seen", "filtered", "queue_full", "too_many_calls", "call_not_joined",
}

// joinTo makes the hop a child of a call. If the client sent a trace context, it
// stays unchanged.
func (h *hop) joinTo(parent *hop, c *call) {
	r, p := h.req, parent.req
	r.Depth = p.Depth + 1
	if r.TraceID != [16]byte{} {
		return
	}
	r.TraceID, r.ParentSpanID = p.TraceID, c.SpanID
	r.TraceState, r.Sampled = p.TraceState, p.Sampled
	r.ParentLocal = p.ParentSpanID == [8]byte{} || p.ParentLocal
}

// parentOf returns the call that caused a hop and the hop whose call it is. The
// state is undecided while either is unknown.
func (s *Stitcher) parentOf(h *hop) (*hop, *call, state) {
	if h.called == 0 {
		return nil, nil, noRequest
	}
	c := s.callOf(h)
	if c == nil {
		return nil, nil, undecided
	}
	c.back = h
	c.learn(h.req)
	switch {
	case c.state == undecided:
		return nil, c, undecided
	case c.state == joined:
		return c.hop, c, joined
	}
	return nil, c, notJoined
}

// callOf returns the call that caused a request at a back end: the call on its
// connection that was in progress when the request arrived.
func (s *Stitcher) callOf(h *hop) *call {
	at := h.req.Arrived
	if !at.Seen() {
		at = h.req.ReadFirst
	}
	calls := s.byConn[h.called] // in the order in which they were made
	later := sort.Search(len(calls), func(i int) bool { return calls[i].begin() > at })
	if later == 0 || at > calls[later-1].End() {
		return nil
	}
	return calls[later-1]
}

// begin returns the earliest moment at which a call's request can have arrived.
func (c *call) begin() request.Stamp {
	if c.SentFirst.Seen() {
		return c.SentFirst
	}
	return c.Start
}

// learn copies facts from the back end's request to a call whose protocol is not
// known at the client's end.
func (c *call) learn(r *request.Request) {
	if c.Protocol != "" || c.state == joined && c.hop.done {
		return
	}
	c.Protocol, c.Method, c.Status = r.Protocol, r.Method, r.Status
	c.Path, c.Host = r.Path, r.Host
}

// whyUndecided returns the reason why the parent of a hop was not found in time.
func (s *Stitcher) whyUndecided(c *call) state {
	if c == nil || c.Links.For.Known() && !c.outlived && s.hops[c.Links.For] == nil {
		return notSeen
	}
	return notJoined
}

// leave decides that a call is joined to no request.
func (s *Stitcher) leave(c *call, why state) {
	if c.state != undecided {
		return
	}

	c.state = why
	s.counts.calls.add(why)
}

// expireCalls gives up the calls that were joined to no request in time. Calls
// whose response is still in progress will be reported again and are kept.
func (s *Stitcher) expireCalls(limit time.Duration) {
	for _, c := range s.heldCalls {
		underWay := c.Links.UnderWay && !s.flushing
		if c.state != undecided || underWay || s.age(c.since) < limit {
			continue
		}
		s.expire(c)
	}
}

// expire gives up a call that was joined to no request.
func (s *Stitcher) expire(c *call) {
	if p := s.processes[c.PID]; p != nil && c.Links.Evidence&request.EvidenceCounted != 0 {
		p.unseen.observe(s.now, p.missing(c))
	}
	known := s.hops[c.Links.For]
	switch {
	case !c.Links.For.Known():
		s.leave(c, noRequest)
	case c.outlived, known != nil && known.done:
		s.leave(c, ambiguous)
	default:
		s.leave(c, notSeen)
	}
}

// forget drops what was decided some time ago, and what is too old.
func (s *Stitcher) forget() {
	n := 0
	for n < len(s.heldHops) && s.heldHops[n].done && s.age(s.heldHops[n].since) >= retain {
		if h := s.heldHops[n]; s.hops[h.ref] == h {
			s.outlive(h)
			delete(s.hops, h.ref)
		}
		n++
	}
	s.heldHops = slices.Delete(s.heldHops, 0, n)
	s.heldCalls = slices.DeleteFunc(s.heldCalls, func(c *call) bool {
		over := c.state != undecided && s.age(c.since) >= retain
		if over {
			s.drop(c)
		}
		return over
	})
	s.forgetVisits()
	if len(s.fouled) > maxFouled {
		clear(s.fouled)
	}
	if len(s.proven) > maxFouled {
		clear(s.proven)
	}
}

// outlive marks the undecided calls that name a request: the request was seen, and
// is forgotten now.
func (s *Stitcher) outlive(h *hop) {
	for _, c := range s.byHop[h.ref] {
		c.outlived = c.outlived || c.Links.For == h.ref
	}
}

// maxFouled limits the threads that are remembered. The kernel remembers them, too:
// a later call of such a thread carries no evidence.
const maxFouled = 1 << 14

func (s *Stitcher) drop(c *call) {
	delete(s.calls, c.Links.ID)
	remove(s.byConn, c.Links.ID.Conn, c)
	remove(s.byHop, c.Links.For, c)
	remove(s.byHop, c.Links.Used, c)
	remove(s.byWorker, c.TID, c)
	if p := s.processes[c.PID]; p != nil {
		switch at := slices.Index(p.calls, c); {
		case at == 0: // normally the oldest
			p.calls = p.calls[1:]
		case at > 0:
			p.calls = slices.Delete(p.calls, at, at+1)
		}
	}
}

// remove removes a call from an index.
func remove[K comparable](index map[K][]*call, key K, c *call) {
	list, ok := index[key]
	if !ok {
		return
	}
	if len(list) > 0 && list[0] == c { // normally the oldest
		list = list[1:]
	} else {
		list = slices.DeleteFunc(list, func(other *call) bool { return other == c })
	}
	if len(list) == 0 {
		delete(index, key)
		return
	}
	index[key] = list
}
