package http1

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"lapwing/collectors/protocol"
	"lapwing/collectors/request"
)

// wire is one direction of a random conversation. For every byte it records whether
// a framer can do without it, and the time of the event that carried it.
type wire struct {
	bytes   []byte
	needed  []bool
	ends    []int // of the messages
	at      []request.Stamp
	carried int
}

func (w *wire) add(needed bool, format string, args ...any) {
	s := fmt.Sprintf(format, args...)
	w.bytes = append(w.bytes, s...)
	for range len(s) {
		w.needed = append(w.needed, needed)
	}
}

// addBody adds a body, which the head before it has announced.
func (w *wire) addBody(rng *rand.Rand, chunked bool, n int) {
	if !chunked {
		w.add(false, "%s", strings.Repeat("G", n))
		return
	}
	for n > 0 {
		size := 1 + rng.IntN(n)
		w.add(true, "%x;x=y\r\n", size)
		w.add(false, "%s", strings.Repeat("\n", size))
		w.add(true, "\r\n")
		n -= size
	}
	w.add(true, "0\r\nTrailer: x\r\n\r\n")
}

// piece takes a random number of bytes, at most limit, off the wire.
func (w *wire) piece(rng *rand.Rand, limit int, at request.Stamp) (data []byte, n int) {
	n = 1 + rng.IntN(min(limit-w.carried, 1+rng.IntN(400)))
	piece := w.bytes[w.carried : w.carried+n]
	known := n
	for known > 0 && !w.needed[w.carried+known-1] {
		known--
	}
	for range n {
		w.at = append(w.at, at)
	}
	w.carried += n
	return piece[:known+rng.IntN(n-known+1)], n
}

// talk is a random conversation with the expected result.
type talk struct {
	in, out wire
	finals  []int // start of each final response
	want    []string
}

func newTalk(rng *rand.Rand) *talk {
	c := &talk{}
	for i := range 1 + rng.IntN(8) {
		method := []string{"GET", "POST", "HEAD", "DELETE"}[rng.IntN(4)]
		c.addRequest(rng, method, i)
		c.addResponse(rng, method, i)
	}
	return c
}

func (c *talk) addRequest(rng *rand.Rand, method string, i int) {
	chunked, n := rng.IntN(2) == 0, rng.IntN(600)
	c.in.add(true, "%s /%d HTTP/1.1\r\nHost: h\r\n", method, i)
	switch {
	case method != "POST":
		c.in.add(true, "\r\n")
	case chunked:
		c.in.add(true, "Transfer-Encoding: chunked\r\n\r\n")
		c.in.addBody(rng, true, n)
	default:
		c.in.add(true, "Content-Length: %d\r\n\r\n", n)
		c.in.addBody(rng, false, n)
	}
	c.in.ends = append(c.in.ends, len(c.in.bytes))
}

func (c *talk) addResponse(rng *rand.Rand, method string, i int) {
	for range rng.IntN(3) {
		c.out.add(true, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n")
	}
	chunked, n := rng.IntN(2) == 0, rng.IntN(600)
	status := []int{200, 204, 304, 404}[rng.IntN(4)]
	c.finals = append(c.finals, len(c.out.bytes))
	c.out.add(true, "HTTP/1.1 %d X\r\n", status)
	if chunked {
		c.out.add(true, "Transfer-Encoding: chunked\r\n\r\n")
	} else {
		c.out.add(true, "Content-Length: %d\r\n\r\n", n)
	}
	if !bodyless(method, status) {
		c.out.addBody(rng, chunked, n)
	}
	c.out.ends = append(c.out.ends, len(c.out.bytes))
	c.want = append(c.want, fmt.Sprintf("%s /%d %d", method, i, status))
}

// play plays both directions in random pieces. A response may be written as soon as
// its request was fully read.
func (c *talk) play(rng *rand.Rand, p *Pairer) {
	for now := ms(1); ; now += ms(10) {
		answered := 0 // end of what may be written
		for i, end := range c.in.ends {
			if end <= c.in.carried {
				answered = c.out.ends[i]
			}
		}
		mayRead, mayWrite := c.in.carried < len(c.in.bytes), c.out.carried < answered
		switch {
		case mayRead && (!mayWrite || rng.IntN(2) == 0):
			data, n := c.in.piece(rng, len(c.in.bytes), now)
			p.Handle(&protocol.Event{Kind: protocol.Read, Arrived: now - 3, ArrivedLast: now - 2, Exit: now, Bytes: uint64(n), Data: data})
		case mayWrite:
			data, n := c.out.piece(rng, answered, now)
			p.Handle(&protocol.Event{Kind: protocol.Write, Enter: now, Exit: now + 5, Bytes: uint64(n), Data: data})
		default:
			return
		}
	}
}

func (c *talk) check(t *testing.T, got []*request.Request) {
	t.Helper()
	require.Len(t, got, len(c.want))
	begin, answer := 0, 0
	var previous request.Stamp // entry of the last write of the previous response
	for i, r := range got {
		end, last := c.in.ends[i], c.out.ends[i]
		require.Equal(t, c.want[i], fmt.Sprintf("%s %s %d", r.Method, r.Path, r.Status))
		require.Equal(t, request.Stamps{
			Arrived: c.in.at[begin] - 3, ReadFirst: c.in.at[begin],
			ArrivedLast: c.in.at[end-1] - 2, ReadLast: c.in.at[end-1],
			WriteFirst: c.out.at[c.finals[i]], WriteLast: c.out.at[last-1] + 5,
		}, r.Stamps)
		require.Equal(t, uint64(end-begin), r.RequestBytes)
		require.Equal(t, uint64(last-answer), r.ResponseBytes)
		require.Equal(t, r.Arrived < previous, r.Flags&request.Pipelined != 0)
		require.Zero(t, r.Flags&^(request.Pipelined|request.Streamed))
		begin, answer, previous = end, last, c.out.at[last-1]
	}
}

// TestPairRandomConversations compares the pairer with a record of every byte, for
// conversations that are cut at random places.
func TestPairRandomConversations(t *testing.T) {
	var seed uint64
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	})
	for seed = range uint64(2000) {
		rng := rand.New(rand.NewPCG(seed, 1))
		c := newTalk(rng)
		var got []*request.Request
		p := newPairer(request.Request{}, func(r *request.Request) { got = append(got, r.Clone()) })
		c.play(rng, p)
		c.check(t, got)
		require.Equal(t, protocol.Counts{}, p.Counts())
		require.Zero(t, p.Outstanding())
	}
}
