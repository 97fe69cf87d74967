package assemble

import (
	"slices"
	"time"

	"lapwing/collectors/protocol"
	"lapwing/collectors/request"
	"lapwing/probes/socket/wire"
)

const (
	// maxConnections limits the connections that are kept.
	maxConnections = 1 << 12
	// closingTime is how long a request waits for the end of its connection, which
	// shows when the client acknowledged the response.
	closingTime = request.Stamp(500 * time.Millisecond)
	// openTime is how long the Assembler waits for more of a response that was not
	// complete when the server read the next request.
	openTime = request.Stamp(30 * time.Second)
)

// stage says why a connection is kept. Later stages cost more to give up.
type stage uint8

const (
	// closing: the server has closed the connection. A program that runs in the
	// network's interrupts reports the end. The kernel can skip this program. Then
	// the request is reported as it was known at the close.
	closing stage = iota
	// open: the last response was not complete, by its framing, when the server
	// read the next request. An event-driven server may continue to write it; then
	// events follow.
	open
	// framed: each read and write of the connection is reported, and framed here.
	framed
)

// connection is what is kept of a connection between two messages of the kernel.
type connection struct {
	id    uint64
	stage stage
	last  request.Stamp // time of the latest event on the connection

	record   wire.Record // stage closing
	buf      []byte      // holds the record's bytes
	response *protocol.Framed
	*pairing // stage framed; a pointer, because the other stages are many and small
}

// connections holds all connections that are kept.
type connections struct {
	byID map[uint64]*connection
	// closings are the ids of closed connections, in the order in which they were
	// closed. They start at index first. Some of them are no longer kept.
	closings []uint64
	first    int
	free     []*connection
}

// at returns the connection if it is kept in stage s, otherwise nil.
func (c *connections) at(id uint64, s stage) *connection {
	if one := c.byID[id]; one != nil && one.stage == s {
		return one
	}
	return nil
}

// keep returns the connection, which now has stage s. The caller must have made
// room for it.
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

// forget removes a connection.
func (c *connections) forget(one *connection) {
	delete(c.byID, one.id)
	*one = connection{buf: one.buf}
	if one.buf != nil { // most connections need a buffer
		c.free = append(c.free, one)
	}
}

// wait appends a connection to those that were closed before. It reuses the space
// of connections that are no longer kept.
func (c *connections) wait(id uint64) {
	if c.first > len(c.closings)/2 {
		c.closings = slices.Delete(c.closings, 0, c.first)
		c.first = 0
	}
	c.closings = append(c.closings, id)
}

// firstClosed returns the connection that was closed first and still waits for its
// end, or nil.
func (c *connections) firstClosed() *connection {
	for ; c.first < len(c.closings); c.first++ {
		if one := c.at(c.closings[c.first], closing); one != nil {
			return one
		}
	}
	c.closings, c.first = c.closings[:0], 0
	return nil
}

// cheapest returns the connection of stage s or an earlier one that costs least to
// give up. Among equals it is the one that was idle for longest. It is nil if there
// is none.
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

// makeRoom makes room for a connection in stage s and reports whether there is
// room. If it has to pass on a request for that, it overwrites a.req.
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

// giveUp stops waiting for a connection.
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

// over forgets a closed connection whose request is passed on now. It reports
// whether the request was waiting.
func (a *Assembler) over(r wire.Record) bool {
	c := a.conns.at(r.Conn, closing)
	if c == nil || c.record.Seq != r.Seq {
		return false
	}
	a.conns.forget(c)
	return true
}

// hold keeps the request in a.req until its response ends or the connection is used
// again.
func (a *Assembler) hold(r wire.Record) {
	response := a.progressOf(r)
	if !a.makeRoom(r.Conn, open) {
		a.endUnknown(response.Request)
		return
	}
	a.conns.keep(r.Conn, open, response.Request.End()).response = response
}

// release passes a request on as it is: its connection was used again, or it waited
// too long, and the end of its response was not seen.
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

// giveUpClosed passes on the requests whose connections were closed before the
// given time.
func (a *Assembler) giveUpClosed(before request.Stamp) {
	for c := a.conns.firstClosed(); c != nil && c.last < before; c = a.conns.firstClosed() {
		a.giveUp(c)
	}
}

// expire ends waits that may never be decided: for the rest of a response that the
// server gave up, or for the end of a connection that was not seen.
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

// end gives up everything that is kept, because the agent ends.
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
