package assemble

import (
	"time"

	"lapwing/collectors/request"
	"lapwing/probes/socket"
)

const (
	// closingTime is how long a request waits for the end of its connection,
	// which tells when the client acknowledged the response.
	closingTime = request.Stamp(500 * time.Millisecond)
	// maxClosing bounds the requests that wait. Beyond it they do not: then
	// nothing is known of the client's acknowledgement.
	maxClosing = 1 << 12
)

// closing is a request whose server has closed the connection.
type closing struct {
	record socket.Record
	buf    []byte // what the record lies in
}

// closings are the requests whose connection is being closed, the first that
// was closed first. Its end is seen by a program that runs in the network's
// interrupts, where the kernel can pass it over: then what was known at the
// close is all there is.
type closings struct {
	byConn map[uint64]*closing
	order  []uint64 // connections; some are over
	free   []*closing
}

func newClosings() closings { return closings{byConn: make(map[uint64]*closing)} }

// add keeps a request, if there is room.
func (c *closings) add(r socket.Record) bool {
	if len(c.byConn) >= maxClosing || c.byConn[r.Conn] != nil {
		return false
	}
	one := &closing{}
	if last := len(c.free) - 1; last >= 0 {
		one, c.free = c.free[last], c.free[:last]
	}
	one.record, one.buf = r.Clone(one.buf)
	c.byConn[r.Conn] = one
	c.order = append(c.order, r.Conn)
	return true
}

// over forgets a request that is handed out now. It reports whether it waited.
func (c *closings) over(r socket.Record) bool {
	one := c.byConn[r.Conn]
	if one == nil || one.record.Seq != r.Seq {
		return false
	}
	delete(c.byConn, r.Conn)
	c.free = append(c.free, one)
	return true
}

// next is the oldest request that is still there, if it was closed before.
func (c *closings) next(before request.Stamp) (r socket.Record, ok bool) {
	for ; len(c.order) > 0; c.order = c.order[1:] {
		one := c.byConn[c.order[0]]
		if one == nil {
			continue
		}
		return one.record, request.Stamp(one.record.Closed) < before
	}
	c.order = nil
	return r, false
}

// giveUpClosing hands out the requests whose connections were closed before.
func (a *Assembler) giveUpClosing(before request.Stamp) {
	for r, ok := a.closing.next(before); ok; r, ok = a.closing.next(before) {
		a.ended(r)
		a.closing.over(r)
	}
}
