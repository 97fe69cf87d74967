package stitch

import (
	"slices"
	"sort"
	"time"

	"lapwing/collectors/request"
)

// hop is a request that has to do with others on this host.
type hop struct {
	req    *request.Request
	ref    request.Ref
	called uint64        // connection of the call that it came on; 0 if of no local one
	cause  request.Ref   // the call that its response followed on
	since  request.Stamp // when it was handed in
	over   request.Stamp // its end, or since if that was not seen
	hidden bool          // not to be exported
	done   bool          // exported, or hidden
	learnt bool          // part of its service's patterns
	calls  []*call
}

// call is a call while it is held.
type call struct {
	*request.Call
	since request.Stamp
	state state
	hop   *hop // whose it is, once it is joined
	back  *hop // the request that it made at a back end, if that waits for it

	fit    fit
	judged bool // its head is part of its service's patterns

	outlived bool // the request that it names was seen, and is forgotten
}

// state is what was decided. Those behind joined are the reasons why a join
// was not made.
type state uint8

const (
	undecided state = iota
	joined
	ambiguous // several requests were in progress on the thread, and the clues do not agree
	noRequest // the thread worked on no request
	outside   // the call began when its request was over
	late      // the call ended after its request was handed on
	notSeen   // the request, or the call, was never handed out
	filtered  // the request is left out by the filter
	queueFull // too many were held
	tooMany   // a request made more calls than are kept of one
	notJoined // the call at the other end was not joined to a request
	numStates
)

var stateNames = [numStates]string{
	"", "", "ambiguous", "no_request", "outside", "late", "not_seen", "filtered", "queue_full", "too_many_calls", "call_not_joined",
}

// joinTo makes the hop a child of a call. Its own trace context, if the client
// sent one, is not touched.
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

// parentOf finds the call that a hop came on and the hop whose call that is.
// The state is undecided while either is not known.
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

// callOf finds the call that a request at a back end was made by: of those on
// its connection, the one in whose time it arrived.
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

// begin is the earliest moment at which a call's request can have arrived.
func (c *call) begin() request.Stamp {
	if c.SentFirst.Seen() {
		return c.SentFirst
	}
	return c.Start
}

// learn takes over what the back end's request tells of a call whose protocol
// is not known at the client's end.
func (c *call) learn(r *request.Request) {
	if c.Protocol != "" || c.state == joined && c.hop.done {
		return
	}
	c.Protocol, c.Method, c.Status = r.Protocol, r.Method, r.Status
	c.Path, c.Host = r.Path, r.Host
}

// whyUndecided is why a hop's place was not found in time.
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

// expireCalls gives up the calls that nobody claimed. Those under way will be
// handed in again.
func (s *Stitcher) expireCalls(limit time.Duration) {
	for _, c := range s.heldCalls {
		underWay := c.Links.UnderWay && !s.flushing
		if c.state != undecided || underWay || s.age(c.since) < limit {
			continue
		}
		s.expire(c)
	}
}

// expire gives a call up that nobody claimed.
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

// forget drops what was decided a while ago, and what is too old.
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

// outlive notes for calls that are not decided that the request which they name was
// seen.
func (s *Stitcher) outlive(h *hop) {
	for _, c := range s.byHop[h.ref] {
		c.outlived = c.outlived || c.Links.For == h.ref
	}
}

// maxFouled bounds the threads that are remembered. The kernel remembers them
// too: a later call of one carries no evidence.
const maxFouled = 1 << 14

func (s *Stitcher) drop(c *call) {
	delete(s.calls, c.Links.ID)
	remove(s.byConn, c.Links.ID.Conn, c)
	remove(s.byHop, c.Links.For, c)
	remove(s.byHop, c.Links.Used, c)
	remove(s.byWorker, c.TID, c)
	if p := s.processes[c.PID]; p != nil {
		switch at := slices.Index(p.calls, c); {
		case at == 0: // the oldest, as a rule
			p.calls = p.calls[1:]
		case at > 0:
			p.calls = slices.Delete(p.calls, at, at+1)
		}
	}
}

// remove takes a call out of an index.
func remove[K comparable](index map[K][]*call, key K, c *call) {
	list, ok := index[key]
	if !ok {
		return
	}
	if len(list) > 0 && list[0] == c { // the oldest, as a rule
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
