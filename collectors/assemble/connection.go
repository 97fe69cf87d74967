package assemble

import (
	"slices"
	"time"

	"lapwing/collectors/protocol"
	"lapwing/collectors/request"
	"lapwing/probes/socket/wire"
)

const (
	// maxConnections bounds the connections of which something is kept.
	maxConnections = 1 << 12
	// closingTime is how long a request waits for the end of its connection,
	// which tells when the client acknowledged the response.
	closingTime = request.Stamp(500 * time.Millisecond)
	// openTime is how long a response that had not ended when the next request
	// was read may go on unseen.
	openTime = request.Stamp(30 * time.Second)
)

// stage is what a connection is kept for. The later ones cost more to give up.
type stage uint8

const (
	// closing: the server has closed it. Its end is seen by a program that runs in
	// the network's interrupts, where the kernel can pass it over: then what was
	// known at the close is all there is.
	closing stage = iota
	// open: its last response had not ended, by its framing, when the server read the
	// next request. An event-driven server may go on writing it: then events follow.
	open
	// framed: each of its reads and writes is reported, and framed here.
	framed
)

// connection is what is kept of one from one message to the next.
type connection struct {
	id    uint64
	stage stage
	last  request.Stamp // when something happened on it

	record   wire.Record // closing
	buf      []byte      // what the record lies in
	response *protocol.Framed
	*pairing // framed; the others are many, and small
}

// connections are all of which something is kept.
type connections struct {
	byID map[uint64]*connection
	// closings have the order in which they were closed, from the first on. Some are
	// over.
	closings []uint64
	first    int
	free     []*connection
}

// at is a connection that is kept in a stage, or nil.
func (c *connections) at(id uint64, s stage) *connection {
	if one := c.byID[id]; one != nil && one.stage == s {
		return one
	}
	return nil
}

// keep returns a connection that has the stage from now on. The caller has made room
// for it.
func (c *connections) keep(id uint64, s stage, now request.Stamp) *connection {
	one := c.byID[id]
	if one == nil {
		one = c.fresh()
		c.byID[id] = one
	}
	*one = connection{id: id, stage: s, last: now, buf: one.buf}
	if s == closing {
		c.wait(id)
	}
	return one
}

func (c *connections) fresh() (one *connection) {
	last := len(c.free) - 1
	if last < 0 {
		return &connection{}
	}
	one, c.free = c.free[last], c.free[:last]
	return one
}

// forget keeps no more of a connection.
func (c *connections) forget(one *connection) {
	delete(c.byID, one.id)
	*one = connection{buf: one.buf}
	if one.buf != nil { // most are of the kind that needs it
		c.free = append(c.free, one)
	}
}

// wait puts a connection behind those that were closed before. The room of what is
// over is used again.
func (c *connections) wait(id uint64) {
	if c.first > len(c.closings)/2 {
		c.closings = slices.Delete(c.closings, 0, c.first)
		c.first = 0
	}
	c.closings = append(c.closings, id)
}

// firstClosed is the one that was closed first and waits for its end, or nil.
func (c *connections) firstClosed() *connection {
	for ; c.first < len(c.closings); c.first++ {
		if one := c.at(c.closings[c.first], closing); one != nil {
			return one
		}
	}
	c.closings, c.first = c.closings[:0], 0
	return nil
}

// cheapest is the one that costs least to give up, of a stage or an earlier one: of
// equals the one on which nothing happened for longest. It is nil if there is none.
func (c *connections) cheapest(s stage) *connection {
	if one := c.firstClosed(); one != nil || s == closing {
		return one
	}
	var least *connection
	for _, one := range c.byID {
		if one.stage <= s && (least == nil || one.stage < least.stage || one.stage == least.stage && one.last < least.last) {
			least = one
		}
	}
	return least
}

// makeRoom makes room for a connection in a stage, and reports whether there is any.
// What it hands out for that is made in a.req.
func (a *Assembler) makeRoom(id uint64, s stage) bool {
	if len(a.conns.byID) < maxConnections || a.conns.byID[id] != nil {
		return true
	}
	least := a.conns.cheapest(s)
	if least == nil {
		return false
	}
	a.giveUp(least)
	return true
}

// giveUp waits no longer for what may come of a connection.
func (a *Assembler) giveUp(c *connection) {
	switch c.stage {
	case closing:
		a.ended(c.record)
		a.conns.forget(c)
	case open:
		a.release(c)
	case framed:
		a.counts.overflowed.Add(uint64(c.pairer.Outstanding()))
		a.unframe(c)
	}
}

// close keeps a request until the end of its connection, if there is room.
func (a *Assembler) close(r wire.Record) bool {
	if c := a.conns.byID[r.Conn]; c != nil {
		if c.stage != open {
			return false
		}
		a.release(c)
	}
	if !a.makeRoom(r.Conn, closing) {
		return false
	}
	c := a.conns.keep(r.Conn, closing, request.Stamp(r.Closed))
	c.record, c.buf = r.Clone(c.buf)
	return true
}

// over forgets a request that is handed out now. It reports whether it waited.
func (a *Assembler) over(r wire.Record) bool {
	c := a.conns.at(r.Conn, closing)
	if c == nil || c.record.Seq != r.Seq {
		return false
	}
	a.conns.forget(c)
	return true
}

// hold keeps a request, which a.req is of, until its response ends or the connection
// goes on without it.
func (a *Assembler) hold(r wire.Record) {
	response := a.progressOf(r)
	if !a.makeRoom(r.Conn, open) {
		a.endUnknown(response.Request)
		return
	}
	a.conns.keep(r.Conn, open, response.Request.End()).response = response
}

// release hands out a request as it is: the connection went on, and what became of its
// response was not seen.
func (a *Assembler) release(c *connection) {
	q := c.response.Request
	a.conns.forget(c)
	a.endUnknown(q)
}

func (a *Assembler) endUnknown(q *request.Request) {
	q.Flags |= request.EndUnknown
	q.WriteLast, q.Acked = 0, 0
	a.export(q)
}

// giveUpClosed hands out the requests whose connections were closed before.
func (a *Assembler) giveUpClosed(before request.Stamp) {
	for c := a.conns.firstClosed(); c != nil && c.last < before; c = a.conns.firstClosed() {
		a.giveUp(c)
	}
}

// expire ends the wait for what will not be decided: a response that the server gave
// up, a connection whose end was not seen.
func (a *Assembler) expire(now request.Stamp) {
	for _, c := range a.conns.byID {
		switch {
		case c.stage == open && now-c.last > openTime:
			a.release(c)
		case c.stage == framed:
			c.pairer.Expire(now, silence)
			a.account(c)
		}
	}
}

// end gives up all that is kept: the agent ends.
func (a *Assembler) end(now request.Stamp) {
	a.giveUpClosed(now)
	for _, c := range a.conns.byID {
		switch c.stage {
		case open:
			a.inFlight(c.response.Request, 1)
			a.conns.forget(c)
		case framed:
			c.pairer.Expire(now, 0)
			a.account(c)
			a.inFlight(&c.base, c.pairer.Outstanding())
			a.unframe(c)
		}
	}
}
