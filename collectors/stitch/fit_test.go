package stitch

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/collectors/request"
)

// asking gives a request the head of a proxied request, and passing does the same
// for a call.
func asking(r *request.Request, target string) *request.Request {
	r.Links.Clue = request.NewClue([]byte("GET " + target + " HTTP/1.1\r\nUser-Agent: test\r\n\r\n"))
	return r
}

func passing(c *request.Call, target string) *request.Call {
	c.Links.Clue = request.NewClue([]byte("GET " + target + " HTTP/1.1\r\nUser-Agent: test\r\nVia: 1.1 p\r\n\r\n"))
	return c
}

// TestHeadTellsWhichRequest has two requests at once and calls that name the wrong
// one, as in a front end that queues its calls.
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

// TestHeadThatFitsTwoTellsNothing also has a case in which one of the two requests
// has not come yet: the kernel's count shows that it exists.
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

// TestHeadDoesNotOverruleTheThread has a proxy that rewrites paths. It can make a
// call look like another request's.
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

// TestContradictionElsewhere has another request whose response followed a call
// that names this one. Then the behaviour of the threads proves nothing for either.
func TestContradictionElsewhere(t *testing.T) {
	b := newBench(0).used(orderly)
	b.Request(b.front(1, id(6)))
	b.Request(b.front(2, id(5)))
	b.Call(b.call(5, 1, 0)) // really for request 2
	b.Call(b.call(6, 1, 0))
	b.pass(settle)
	assert.Empty(t, b.out[1].Calls)
	assert.Empty(t, b.out[2].Calls)
}

// TestChainPassesOnlyOverItsOwnCalls has a call between two calls of a request. If
// the response of another request followed it, none of the three is joined.
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

// TestLongRequestsHoldNobodyUp has a request that stays open, such as a long poll.
// It is missing for every call, which is known after some time.
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

// TestPoolOpenedInAdvance has a connection that was opened for request 1. When it
// was used, request 2 was the only one in progress.
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

// TestRequestWithoutAnswer has a request whose time span has no end, and an earlier
// call of its process.
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
