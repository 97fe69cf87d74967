package stitch

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/collectors/request"
)

// The patterns of servers: an event loop, one thread per request, and a thread that
// reads requests for others.
var (
	orderly = patterns{same: 100, agree: 100}
	bound   = patterns{same: 100}
	split   = patterns{handed: 100}
)

const ms = request.Stamp(time.Millisecond)

// bench is a Stitcher with its output, by the number of a connection.
type bench struct {
	*Stitcher
	out   map[uint64]*request.Request
	order []uint64
	start request.Stamp
}

func newBench(limit int) *bench {
	b := &bench{out: make(map[uint64]*request.Request), start: request.Now()}
	b.Stitcher = New(Options{Limit: limit, Export: func(r *request.Request) {
		b.out[r.Conn] = r.Clone()
		b.order = append(b.order, r.Conn)
	}})
	return b
}

// used sets the patterns of the service of all requests.
func (b *bench) used(h patterns) *bench {
	b.patterns[""] = &h
	return b
}

// front returns a request, from 0 to 10 ms, at a server that makes calls.
func (b *bench) front(conn uint64, cause request.Ref) *request.Request {
	r := &request.Request{Conn: conn, Seq: 1, TID: 1, WriterTID: 1}
	r.Arrived, r.ReadFirst, r.ReadLast = b.start, b.start+ms, b.start+ms
	r.WriteFirst, r.WriteLast = b.start+9*ms, b.start+10*ms
	r.Links = request.Links{Calls: true, Cause: cause}
	return r
}

// call returns a call for the request on a connection, from 2 to 8 ms.
func (b *bench) call(conn, owner uint64, evidence request.Evidence) *request.Call {
	c := &request.Call{TID: 1, Start: b.start + 2*ms, SentFirst: b.start + 2*ms, GotLast: b.start + 8*ms}
	c.Links = request.CallLinks{ID: request.Ref{Conn: conn, Seq: 1}, Evidence: evidence | request.EvidenceCounted}
	if owner != 0 {
		c.Links.For = request.Ref{Conn: owner, Seq: 1}
	}
	return c
}

// back returns the request that a call made, from 3 to 7 ms.
func (b *bench) back(conn, caller uint64) *request.Request {
	r := &request.Request{Conn: conn, Seq: 1, Protocol: "fastcgi", Method: "GET", Status: 200}
	r.Arrived, r.ReadFirst, r.ReadLast = b.start+3*ms, b.start+3*ms, b.start+3*ms
	r.WriteFirst, r.WriteLast = b.start+7*ms, b.start+7*ms
	r.Links.Caller = caller
	return r
}

func id(conn uint64) request.Ref { return request.Ref{Conn: conn, Seq: 1} }

// pass advances the time.
func (b *bench) pass(d time.Duration) { b.Tick(b.now + request.Stamp(d)) }

// TestReasonOfACallWhoseRequestIsForgotten has a call that names a request, and may
// belong to one that never comes. The request that it names was seen, so nothing of
// it is missing.
func TestReasonOfACallWhoseRequestIsForgotten(t *testing.T) {
	for seen, want := range map[bool][2]string{true: {"ambiguous", "call_not_joined"}, false: {"not_seen", "not_seen"}} {
		b := newBench(0)
		if seen {
			b.Request(asking(b.front(1, request.Ref{}), "/a"))
		}
		c := passing(b.call(10, 1, 0), "/c")
		c.Links.Open = 3
		b.Call(c)
		b.Request(b.back(20, 10))
		for range 12 {
			b.pass(patience / 10)
		}
		assert.Equal(t, map[string]uint64{want[0]: 1}, b.Counts().Calls.Unjoined, "seen %v", seen)
		assert.Equal(t, map[string]uint64{want[1]: 1}, b.Counts().Requests.Unjoined, "seen %v", seen)
	}
}

func TestUnrelatedRequestPassesAtOnce(t *testing.T) {
	b := newBench(0)
	b.Request(&request.Request{Conn: 1, Seq: 1})
	require.Contains(t, b.out, uint64(1))
	assert.Zero(t, b.out[1].TraceID, "nobody asked for identifiers")
	assert.Equal(t, Counts{Calls: Tally{Unjoined: map[string]uint64{}}, Requests: Tally{Unjoined: map[string]uint64{}}}, b.Counts())
}

// child checks that one request is a child of a call of another.
func (b *bench) child(t *testing.T, conn, of uint64) {
	t.Helper()
	require.Contains(t, b.out, conn)
	require.Contains(t, b.out, of)
	require.NotEmpty(t, b.out[of].Calls)
	assert.Equal(t, b.out[of].TraceID, b.out[conn].TraceID)
	assert.Equal(t, b.out[of].Calls[0].SpanID, b.out[conn].ParentSpanID)
	assert.NotZero(t, b.out[conn].ParentSpanID)
	assert.Equal(t, b.out[of].Depth+1, b.out[conn].Depth)
}

func TestBackEndIsChildOfTheCall(t *testing.T) {
	for name, how := range map[string]struct {
		cause    request.Ref
		evidence request.Evidence
		patterns patterns
	}{
		"each names the other":            {cause: id(5), patterns: orderly},
		"one request at a time":           {evidence: request.EvidenceAlone, patterns: bound},
		"one request on the thread":       {evidence: request.EvidenceOnly, patterns: bound},
		"one request in the process":      {evidence: request.EvidenceSole},
		"the call follows the read":       {evidence: request.EvidenceDirect, patterns: bound},
		"a thread that reads no requests": {cause: id(5), evidence: request.EvidenceNoReader, patterns: split},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(0).used(how.patterns)
			owner := uint64(1)
			if how.evidence == request.EvidenceNoReader {
				owner = 0
			}
			b.Request(b.back(9, 5))
			b.Call(b.call(5, owner, how.evidence))
			b.Request(b.front(1, how.cause))
			assert.Empty(t, b.out, "calls may be missing yet")
			b.pass(settle)
			assert.Equal(t, []uint64{1, 9}, b.order, "the parent comes first")
			b.child(t, 9, 1)
			assert.EqualValues(t, 1, b.Counts().Requests.Joined)
			assert.EqualValues(t, 1, b.Counts().Calls.Joined)
			assert.Equal(t, "fastcgi", b.out[1].Calls[0].Protocol, "as the back end saw it")
		})
	}
}

func TestOrderOfRecordsDoesNotMatter(t *testing.T) {
	type feed func(*bench)
	back := func(b *bench) { b.Request(b.back(9, 5)) }
	call := func(b *bench) { b.Call(b.call(5, 1, 0)) }
	front := func(b *bench) { b.Request(b.front(1, id(5))) }
	for _, order := range [][]feed{{back, call, front}, {front, call, back}, {call, front, back}, {front, back, call}} {
		b := newBench(0).used(orderly)
		for _, feed := range order {
			feed(b)
			b.pass(100 * time.Millisecond)
		}
		b.pass(settle)
		b.child(t, 9, 1)
	}
	b := newBench(0).used(orderly) // and a back end that is known only after its front end
	front(b)
	call(b)
	b.pass(settle)
	back(b)
	b.pass(50 * time.Millisecond)
	b.child(t, 9, 1)
}

// TestTheWaitIsFromTheEnd passes requests in long after they ended, as happens with
// quiet connections.
func TestTheWaitIsFromTheEnd(t *testing.T) {
	b := newBench(0).used(orderly)
	b.pass(600 * time.Millisecond)
	b.Request(b.back(9, 5))
	b.Call(b.call(5, 1, 0))
	b.Request(b.front(1, id(5)))
	b.pass(140 * time.Millisecond)
	assert.Empty(t, b.out)
	b.pass(30 * time.Millisecond)
	b.child(t, 9, 1)

	late := b.front(2, request.Ref{}) // its service learns from it before the decision about it
	b.Request(late)
	b.pass(learning - time.Millisecond)
	assert.NotContains(t, b.out, uint64(2))
	b.pass(time.Millisecond)
	assert.Contains(t, b.out, uint64(2))
}

func TestThreeHops(t *testing.T) {
	b := newBench(0).used(orderly)
	middle := b.back(2, 5)
	middle.Links.Calls, middle.PID, middle.TID, middle.WriterTID = true, 2, 1, 1
	inner := b.call(6, 2, request.EvidenceAlone)
	inner.PID = 2
	inner.Start, inner.SentFirst, inner.GotLast = b.start+4*ms, b.start+4*ms, b.start+6*ms
	last := b.back(3, 6)
	last.Arrived = b.start + 5*ms
	b.Request(last)
	b.Call(inner)
	b.Request(middle)
	b.Call(b.call(5, 1, 0))
	b.Request(b.front(1, id(5)))
	b.pass(settle)
	b.pass(50 * time.Millisecond)
	assert.Equal(t, []uint64{1, 2, 3}, b.order)
	b.child(t, 2, 1)
	b.child(t, 3, 2)
	assert.Equal(t, 2, b.out[3].Depth)
}

// TestDisagreement has an event loop that read request 2 last before it started the
// call for request 1. Nothing is joined, so nothing is joined wrongly.
func TestDisagreement(t *testing.T) {
	b := newBench(0).used(orderly)
	b.Call(b.call(5, 2, 0))
	b.Request(b.back(9, 5))
	b.Request(b.front(1, id(5)))
	b.Request(b.front(2, id(6)))
	b.pass(settle)
	b.pass(50 * time.Millisecond)
	require.Len(t, b.out, 3)
	assert.Zero(t, b.out[9].ParentSpanID)
	assert.Equal(t, map[string]uint64{"ambiguous": 1}, b.Counts().Calls.Unjoined)
	assert.Equal(t, map[string]uint64{"call_not_joined": 1}, b.Counts().Requests.Unjoined)
}

func TestAFoulEndsTheTrustInAnOrder(t *testing.T) {
	b := newBench(0).used(orderly)
	b.Call(b.call(5, 1, request.EvidenceDirect))
	b.Request(b.front(1, request.Ref{}))
	foul := b.call(6, 1, request.EvidenceFoul)
	b.Call(foul)
	b.pass(settle)
	assert.Empty(t, b.out[1].Calls)
	assert.Equal(t, map[string]uint64{"ambiguous": 2}, b.Counts().Calls.Unjoined)
}

// TestCallsOneAfterTheOther has a retry: the failure of the first call led to the
// second, and only the answer to the second led to the response.
func TestCallsOneAfterTheOther(t *testing.T) {
	b := newBench(0).used(orderly)
	first, second := b.call(5, 1, 0), b.call(6, 1, 0)
	first.GotLast, first.Error = b.start+3*ms, "connection_refused"
	second.Start, second.SentFirst = b.start+4*ms, b.start+4*ms
	second.Links.After = id(5)
	b.Call(first)
	b.Call(second)
	b.Request(b.front(1, id(6)))
	b.pass(settle)
	require.Len(t, b.out[1].Calls, 2)
	assert.Equal(t, "connection_refused", b.out[1].Calls[0].Error, "in the order of time")
}

func TestCallAfterTheResponseIsNotOfTheRequest(t *testing.T) {
	b := newBench(0).used(orderly)
	c := b.call(5, 1, request.EvidenceAlone)
	c.Start = b.start + 11*ms
	b.Call(c)
	b.Request(b.front(1, request.Ref{}))
	b.pass(settle)
	assert.Empty(t, b.out[1].Calls)
	assert.Equal(t, map[string]uint64{"outside": 1}, b.Counts().Calls.Unjoined)
}

// TestThreadWithManyCallsAtOnce has a thread that reads no requests and has two
// calls in progress. It cannot be known to which of them an answer belongs.
func TestThreadWithManyCallsAtOnce(t *testing.T) {
	b := newBench(0)
	b.Call(b.call(5, 0, request.EvidenceNoReader))
	b.Call(b.call(6, 0, request.EvidenceNoReader))
	b.Request(b.front(1, id(5)))
	b.pass(settle)
	assert.Empty(t, b.out[1].Calls)
	b.pass(patience)
	assert.Equal(t, map[string]uint64{"no_request": 2}, b.Counts().Calls.Unjoined)
}

// TestHabitsDecideWhatCluesAreWorth has calls whose clues match, at servers with
// whose patterns they match by chance.
func TestHabitsDecideWhatCluesAreWorth(t *testing.T) {
	for name, how := range map[string]struct {
		cause    request.Ref
		evidence request.Evidence
		patterns patterns
	}{
		"clues that mostly disagree":           {cause: id(5), patterns: patterns{same: 100, agree: 50, differ: 10}},
		"too little is known":                  {cause: id(5), patterns: patterns{same: 5, agree: 5}},
		"requests move between threads":        {evidence: request.EvidenceAlone | request.EvidenceOnly, patterns: patterns{same: 100, handed: 10}},
		"no pattern of reading and of calling": {evidence: request.EvidenceDirect, patterns: patterns{same: 100, handed: 10}},
		"readers that also answer":             {cause: id(5), evidence: request.EvidenceNoReader, patterns: patterns{same: 10, handed: 100}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(0).used(how.patterns)
			owner := uint64(1)
			if how.evidence == request.EvidenceNoReader {
				owner = 0
			}
			b.Call(b.call(5, owner, how.evidence|request.EvidenceCounted)) // with other requests in progress
			b.Request(b.front(1, how.cause))
			b.pass(settle)
			require.Contains(t, b.out, uint64(1))
			assert.Empty(t, b.out[1].Calls)
		})
	}
}

// TestHabitsAreLearnt lets the clues of an event loop agree, then differ.
func TestHabitsAreLearnt(t *testing.T) {
	b := newBench(0)
	feed := func(from, to uint64, off uint64) {
		for i := from; i < to; i++ {
			b.Call(b.call(5000+i, 1+i+off, 0))
			b.Request(b.front(1+i, id(5000+i)))
		}
		b.pass(settle)
	}
	feed(0, fewest, 0)
	assert.Len(t, b.out[1].Calls, 1, "learnt before anything was decided")
	feed(100, 200, 1)
	assert.EqualValues(t, fewest, b.Counts().Calls.Joined, "each names the next one")
	feed(300, 301, 0)
	assert.Empty(t, b.out[301].Calls, "the pattern is gone")
}

func TestTraceparentWins(t *testing.T) {
	b := newBench(0).used(orderly)
	back := b.back(9, 5)
	back.TraceID, back.ParentSpanID, back.Sampled = [16]byte{1}, [8]byte{2}, true
	b.Request(back)
	b.Call(b.call(5, 1, request.EvidenceAlone))
	b.Request(b.front(1, request.Ref{}))
	b.pass(settle)
	require.Contains(t, b.out, uint64(9))
	assert.Equal(t, [16]byte{1}, b.out[9].TraceID)
	assert.Equal(t, [8]byte{2}, b.out[9].ParentSpanID)
}

// TestSamplingIsInherited checks that the client's decision on sampling holds for
// all hops. If the trace started here, the ratio decides.
func TestSamplingIsInherited(t *testing.T) {
	for _, outside := range []bool{true, false} {
		b := newBench(0).used(orderly)
		front := b.front(1, request.Ref{})
		if outside {
			front.TraceID, front.ParentSpanID, front.Sampled = [16]byte{1}, [8]byte{2}, true
			front.TraceState = []byte("a=b")
		}
		b.Request(b.back(9, 5))
		b.Call(b.call(5, 1, request.EvidenceAlone))
		b.Request(front)
		b.pass(settle)
		b.child(t, 9, 1)
		assert.Equal(t, outside, b.out[9].Sampled)
		assert.Equal(t, !outside, b.out[9].ParentLocal)
		assert.Equal(t, b.out[1].TraceState, b.out[9].TraceState)
	}
}

func TestCallThatIsToldTwiceCountsOnce(t *testing.T) {
	b := newBench(0).used(orderly)
	b.Call(b.call(5, 1, request.EvidenceAlone))
	more := b.call(5, 1, request.EvidenceAlone)
	more.ResponseBytes = 77
	b.Call(more)
	b.Request(b.front(1, request.Ref{}))
	b.pass(settle)
	b.Call(more)
	require.Len(t, b.out[1].Calls, 1)
	assert.EqualValues(t, 77, b.out[1].Calls[0].ResponseBytes)
	assert.EqualValues(t, 1, b.Counts().Calls.Joined)
}

func TestKeptConnectionHasManyExchanges(t *testing.T) {
	b := newBench(0).used(orderly)
	for i := range request.Stamp(3) {
		c := b.call(5, 0, 0)
		c.Links.ID.Seq = uint32(i + 1)
		c.Links.For = request.Ref{Conn: 1, Seq: uint32(i + 1)}
		c.Links.Evidence = request.EvidenceAlone | request.EvidenceCounted
		f, k := b.front(1, request.Ref{}), b.back(9, 5)
		f.Seq, k.Seq = uint32(i+1), uint32(i+1)
		for _, s := range []*request.Stamp{
			&c.Start, &c.SentFirst, &c.GotLast, &k.Arrived, &k.ReadFirst, &k.ReadLast, &k.WriteFirst, &k.WriteLast,
			&f.Arrived, &f.ReadFirst, &f.ReadLast, &f.WriteFirst, &f.WriteLast,
		} {
			*s += 20 * i * ms
		}
		b.Request(k)
		b.Call(c)
		b.Request(f)
	}
	b.pass(settle)
	assert.EqualValues(t, 3, b.Counts().Requests.Joined)
	b.child(t, 9, 1)
}

func TestNobodyWaitsForEver(t *testing.T) {
	b := newBench(0)
	b.Request(b.back(9, 5))                     // its call never comes
	b.Call(b.call(6, 1, request.EvidenceAlone)) // its request never comes
	b.Request(b.back(10, 6))                    // so this one's request is not exported either
	b.pass(patience - time.Millisecond)
	assert.Empty(t, b.out)
	b.pass(time.Millisecond)
	assert.Len(t, b.out, 2)
	assert.Equal(t, map[string]uint64{"not_seen": 2}, b.Counts().Requests.Unjoined)
	assert.Equal(t, map[string]uint64{"not_seen": 1}, b.Counts().Calls.Unjoined)
}

func TestFilteredFrontHoldsNobody(t *testing.T) {
	b := newBench(0)
	b.Request(b.back(9, 5))
	b.Call(b.call(5, 1, request.EvidenceAlone))
	b.Hide(b.front(1, request.Ref{}))
	b.pass(50 * time.Millisecond)
	require.Contains(t, b.out, uint64(9))
	assert.Zero(t, b.out[9].ParentSpanID)
	assert.Equal(t, map[string]uint64{"filtered": 1}, b.Counts().Calls.Unjoined)
}

func TestQueuesAreBounded(t *testing.T) {
	const limit = 8
	b := newBench(limit)
	for i := range uint64(100) {
		b.Request(b.back(1000+i, 5000+i))
		b.Call(b.call(2000+i, 3000+i, 0))
	}
	assert.LessOrEqual(t, len(b.heldHops), 2*limit)
	assert.LessOrEqual(t, len(b.calls), limit)
	assert.LessOrEqual(t, len(b.byConn), limit)
	assert.Len(t, b.out, 100-limit, "what is not held passes on")
	assert.EqualValues(t, 100-limit, b.Counts().Requests.Unjoined["queue_full"])
	assert.EqualValues(t, 100-limit, b.Counts().Calls.Unjoined["queue_full"])
}

func TestNothingIsLeftBehind(t *testing.T) {
	b := newBench(0).used(orderly)
	for i := range uint64(50) {
		b.Request(b.back(9000+i, 500+i))
		b.Call(b.call(500+i, 1+i, request.EvidenceAlone))
		b.Request(b.front(1+i, request.Ref{}))
	}
	b.pass(settle)
	b.pass(patience)
	b.pass(retain)
	assert.Len(t, b.out, 100)
	assert.Empty(t, b.hops)
	assert.Empty(t, b.calls)
	assert.Empty(t, b.byConn)
	assert.Empty(t, b.byHop)
	assert.Empty(t, b.heldHops)
	assert.Empty(t, b.heldCalls)
	assert.Zero(t, b.holding)
}

func TestFlushLetsGoOfEverything(t *testing.T) {
	b := newBench(0).used(orderly)
	b.Request(b.back(9, 5))
	b.Call(b.call(5, 1, request.EvidenceAlone))
	b.Request(b.front(1, request.Ref{}))
	b.Request(b.back(10, 6))
	b.Flush()
	assert.Len(t, b.out, 3)
	b.child(t, 9, 1)
	assert.Zero(t, b.holding)
}

func TestPassingDoesNotAllocate(t *testing.T) {
	s := New(Options{Export: func(*request.Request) {}})
	r := &request.Request{Conn: 1, Seq: 1}
	assert.Zero(t, testing.AllocsPerRun(100, func() { s.Request(r) }))
}

// TestCallUnderWay has a call whose response lasts longer than anything waits. At
// the end it belongs to its request and is counted once. Updates after that are
// ignored.
func TestCallUnderWay(t *testing.T) {
	b := newBench(0).used(orderly)
	c := b.call(5, 1, 0)
	c.Ending, c.Links.UnderWay = request.CallEndUnknown, true
	b.Call(c)
	b.pass(2 * patience)
	again := b.call(5, 1, 0)
	again.GotLast, again.Links.Again = b.now, true
	b.Call(again)
	r := b.front(1, id(5))
	r.WriteFirst, r.WriteLast = b.now, b.now
	b.Request(r)
	b.pass(settle)
	b.pass(settle)
	require.Contains(t, b.out, uint64(1))
	require.Len(t, b.out[1].Calls, 1)
	assert.Equal(t, request.CallEndSeen, b.out[1].Calls[0].Ending)

	b.pass(2 * retain)
	b.Call(again)
	b.pass(2 * patience)
	assert.Equal(t, Tally{Joined: 1, Unjoined: map[string]uint64{}}, b.Counts().Calls)
}

// TestCallUnderWayIsCountedAtTheEnd has such a call at the end of the agent.
func TestCallUnderWayIsCountedAtTheEnd(t *testing.T) {
	b := newBench(0)
	c := b.call(5, 1, 0)
	c.Links.UnderWay = true
	b.Call(c)
	b.pass(2 * patience)
	assert.Empty(t, b.Counts().Calls.Unjoined)
	b.Flush()
	assert.Equal(t, map[string]uint64{"not_seen": 1}, b.Counts().Calls.Unjoined)
}
