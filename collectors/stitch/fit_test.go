package stitch

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/collectors/request"
)

// asking gives a request, and passing a call, the head of a proxied request.
func asking(r *request.Request, target string) *request.Request {
	r.Links.Clue = request.NewClue([]byte("GET " + target + " HTTP/1.1\r\nUser-Agent: test\r\n\r\n"))
	return r
}

func passing(c *request.Call, target string) *request.Call {
	c.Links.Clue = request.NewClue([]byte("GET " + target + " HTTP/1.1\r\nUser-Agent: test\r\nVia: 1.1 p\r\n\r\n"))
	return c
}

// TestHeadTellsWhichRequest: two requests at once, and calls that name the
// wrong one, as a front end's that queues them.
func TestHeadTellsWhichRequest(t *testing.T) {
	b := newBench(0)
	b.Request(asking(b.front(1, id(5)), "/a"))
	b.Request(asking(b.front(2, id(6)), "/b"))
	b.Call(passing(b.call(5, 2, 0), "/a"))
	b.Call(passing(b.call(6, 2, 0), "/b"))
	b.Request(b.back(8, 5))
	b.Request(b.back(9, 6))
	b.pass(settle)
	b.pass(50 * time.Millisecond)
	b.child(t, 8, 1)
	b.child(t, 9, 2)
}

// TestHeadThatFitsTwoTellsNothing, also where one of the two was not handed in
// yet: the kernel's count says that it is there.
func TestHeadThatFitsTwoTellsNothing(t *testing.T) {
	for _, known := range []bool{true, false} {
		b := newBench(0)
		c := passing(b.call(5, 0, request.EvidenceCounted), "/a")
		c.Links.Open = 2
		b.Request(asking(b.front(1, request.Ref{}), "/a"))
		if known {
			b.Request(asking(b.front(2, request.Ref{}), "/a"))
		}
		b.Call(c)
		b.pass(settle)
		if !known {
			assert.Empty(t, b.out, "it waits for the other one")
			b.Request(asking(b.front(2, request.Ref{}), "/a"))
		}
		b.pass(settle)
		b.pass(patience)
		require.Contains(t, b.out, uint64(1))
		assert.Empty(t, b.out[1].Calls)
		assert.Empty(t, b.out[2].Calls)
		assert.EqualValues(t, 1, b.Counts().Calls.Unjoined["no_request"])
	}
}

// TestHeadDoesNotOverruleTheThread: a proxy that rewrites paths can make a call
// look like another request's.
func TestHeadDoesNotOverruleTheThread(t *testing.T) {
	b := newBench(0).used(patterns{same: 100, agree: 100, busySame: 100})
	b.Request(asking(b.front(1, id(5)), "/a"))
	b.Request(asking(b.front(2, id(6)), "/b"))
	b.Call(passing(b.call(5, 1, request.EvidenceDirect), "/b"))
	b.Call(passing(b.call(6, 2, request.EvidenceDirect), "/c"))
	b.pass(settle)
	require.Len(t, b.out[1].Calls, 1)
	assert.Equal(t, id(5), b.out[1].Calls[0].Links.ID)
	require.Len(t, b.out[2].Calls, 1)
	assert.Equal(t, id(6), b.out[2].Calls[0].Links.ID)
}

// TestContradictionElsewhere: another request's response followed on a call
// that names this one. Then what the threads did says nothing of either.
func TestContradictionElsewhere(t *testing.T) {
	b := newBench(0).used(orderly)
	b.Request(b.front(1, id(6)))
	b.Request(b.front(2, id(5)))
	b.Call(b.call(5, 1, 0)) // really of request 2
	b.Call(b.call(6, 1, 0))
	b.pass(settle)
	assert.Empty(t, b.out[1].Calls)
	assert.Empty(t, b.out[2].Calls)
}

// TestChainPassesOnlyOverItsOwnCalls: a call between two of a request's own,
// which another request's response followed on.
func TestChainPassesOnlyOverItsOwnCalls(t *testing.T) {
	for _, queued := range []bool{false, true} {
		b := newBench(0).used(orderly)
		first, between, last := b.call(5, 1, 0), b.call(6, 1, 0), b.call(7, 1, 0)
		between.Links.After, last.Links.After = first.Links.ID, between.Links.ID
		b.Request(b.front(1, id(7)))
		if queued {
			b.Request(b.front(2, id(6)))
		}
		for _, c := range []*request.Call{first, between, last} {
			b.Call(c)
		}
		b.pass(settle)
		want := 3
		if queued {
			want = 0
		}
		assert.Len(t, b.out[1].Calls, want)
	}
}

// TestLongRequestsHoldNobodyUp: a request that stays open, such as a long poll,
// is missed for every call. After a while that is known.
func TestLongRequestsHoldNobodyUp(t *testing.T) {
	var u unseen
	at := request.Stamp(time.Hour)
	for range 40 {
		u.observe(at, 1)
		at += request.Stamp(time.Second)
	}
	assert.EqualValues(t, 1, u.least())
	u.observe(at, 0)
	assert.EqualValues(t, 0, u.least(), "it has ended")
}

// TestPoolOpenedInAdvance: the connection was opened for request 1, and request
// 2 was the only one there when it was used.
func TestPoolOpenedInAdvance(t *testing.T) {
	b := newBench(0)
	c := b.call(5, 1, request.EvidenceSole)
	c.SentFirst, c.GotLast = b.start+22*ms, b.start+25*ms
	c.Links.Used, c.Links.UseEvidence = id(2), request.EvidenceSole
	later := b.front(2, request.Ref{})
	later.ReadFirst, later.ReadLast = b.start+21*ms, b.start+21*ms
	later.WriteFirst, later.WriteLast = b.start+26*ms, b.start+27*ms
	b.Request(b.front(1, request.Ref{}))
	b.Request(later)
	b.Call(c)
	b.pass(settle + 50*time.Millisecond)
	assert.Empty(t, b.out[1].Calls)
	require.Len(t, b.out[2].Calls, 1)
	took, _ := b.out[2].Calls[0].Duration()
	assert.Equal(t, 3*time.Millisecond, took, "from its first write")
}

// TestRequestWithoutAnswer: its span has no end, and a call of its process came
// before it.
func TestRequestWithoutAnswer(t *testing.T) {
	b := newBench(0).used(orderly)
	b.Call(b.call(5, 2, request.EvidenceAlone))
	gone := b.front(1, request.Ref{})
	gone.ReadFirst, gone.ReadLast, gone.Closed = b.start+5*ms, b.start+5*ms, b.start+9*ms
	gone.WriteFirst, gone.WriteLast = 0, 0
	b.Request(gone)
	b.pass(settle)
	require.Contains(t, b.out, uint64(1))
	assert.Empty(t, b.out[1].Calls)
}
