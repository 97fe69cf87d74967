package assemble

import (
	"bytes"
	"iter"
	"time"

	"lapwing/collectors/protocol"
	"lapwing/collectors/protocol/detect"
	"lapwing/collectors/request"
	"lapwing/probes/socket/wire"
)

// silence is how long a response may be silent before it is taken to be complete,
// if its framing was lost.
const silence = time.Second

// pairing is the state of a connection that is framed by the agent.
type pairing struct {
	pairer protocol.Pairer
	base   request.Request // the process, service and addresses of the connection
	number uint32          // number of the last event
	counts protocol.Counts // counts that were already added to the Assembler's
}

// open starts to frame a connection. Its record says what was in progress.
func (a *Assembler) open(r wire.Record) {
	var held *protocol.Framed
	if c := a.conns.at(r.Conn, open); c != nil {
		held = c.response
	}
	a.makeRoom(r.Conn, framed)
	a.base(r)
	inProgress := r.RequestBytes > 0 && !reported(r)
	a.req.Seq = r.Seq
	if inProgress {
		a.req.Seq--
	}
	if held != nil {
		a.req.Seq = held.Request.Seq - 1
	}
	opts := protocol.Options{Base: *a.req.Clone(), Done: a.paired, Full: a.outstanding.full, Unknown: a.counts.unknownAdd}
	c := a.conns.keep(r.Conn, framed, request.Now())
	c.pairing = &pairing{base: opts.Base}
	c.base.PID, c.base.Comm = r.Pid, a.comms.of(r.Command())
	if held == nil && fresh(r) {
		c.pairer = detect.New(opts)
		if inProgress {
			a.progress(r)
			c.pairer.Handle(a.readSoFar(r))
		}
		return
	}
	resumed := a.decoder.Resume(opts)
	c.pairer = resumed
	if held != nil {
		resumed.Resume(held)
	}
	if inProgress {
		a.progress(r)
		resumed.Resume(a.progressOf(r))
	}
}

// progressOf returns the request of the record in its present state. a.req must be
// of this record.
func (a *Assembler) progressOf(r wire.Record) *protocol.Framed {
	f := framedOf(r)
	f.Request = a.req.Clone()
	f.Head, f.ResponseHead = bytes.Clone(f.Head), bytes.Clone(f.ResponseHead)
	f.TraceParent = bytes.Clone(f.TraceParent)
	return &f
}

// fresh reports whether the first bytes of the connection still have to show its
// protocol. This is so if no request of it was passed on, and the kernel does not
// take the bytes for HTTP/1, the only protocol that it measures by itself.
func fresh(r wire.Record) bool {
	return r.Marks&wire.MarkGuess != 0 || r.RequestBytes == 0 && r.Seq == 0
}

// readSoFar returns an event for what was read before the connection reported each
// read.
func (a *Assembler) readSoFar(r wire.Record) *protocol.Event {
	q := &a.req
	return &protocol.Event{
		Kind: protocol.Read, Arrived: q.Arrived, ArrivedLast: q.ArrivedLast, First: q.ReadFirst, Exit: q.ReadLast,
		Bytes: r.RequestBytes, Data: r.RequestHead(), PID: q.PID, TID: q.TID, Comm: q.Comm,
	}
}

// paired takes a request that a pairer finished.
func (a *Assembler) paired(r *request.Request) {
	if r.Method == "" && r.Status == 0 {
		a.counts.unknownAdd(detect.NoProtocol) // neither head was one of HTTP
		return
	}
	a.export(r)
}

// event passes a read, write or close on to the connection's pairer.
func (a *Assembler) event(e wire.Event) {
	c := a.conns.at(e.Conn, framed)
	if c == nil {
		a.counts.lostEvents.Add(1) // the record that opened the connection was lost, or the connection was dropped
		return
	}
	if gap := e.Number - c.number - 1; gap > 0 && gap < 1<<31 {
		a.counts.lostEvents.Add(uint64(gap))
		c.pairer.Lose()
	}
	c.number = e.Number
	c.last = request.Stamp(e.Exit)
	if e.EventKind() == wire.Read && c.base.PID != e.Pid {
		c.base.PID, c.base.Comm = e.Pid, a.comms.of(e.Command())
	}
	for ev := range pieces(e, a.translate(e)) {
		c.pairer.Handle(ev)
	}
	a.account(c)
	if e.EventKind() == wire.Close || c.pairer.Tunnel() {
		a.unframe(c)
	}
}

// unframe ends the framing of a connection.
func (a *Assembler) unframe(c *connection) {
	a.outstanding.note(c.id, 0)
	a.conns.forget(c)
}

// pieces splits a read whose bytes arrived at different times, because it may
// contain several requests.
func pieces(e wire.Event, whole *protocol.Event) iter.Seq[*protocol.Event] {
	return func(yield func(*protocol.Event) bool) {
		parts := e.Pieces()
		if len(parts) == 0 {
			yield(whole)
			return
		}
		ev, done := *whole, uint64(0)
		for _, next := range append(parts, wire.Piece{Offset: whole.Bytes}) {
			if next.Offset <= done || next.Offset > whole.Bytes {
				continue
			}
			ev.ArrivedLast = ev.Arrived
			ev.Bytes = next.Offset - done
			ev.Data = cut(whole.Data, done, next.Offset)
			if !yield(&ev) {
				return
			}
			ev.Arrived, ev.Wait, done = request.Stamp(next.Arrived), 0, next.Offset
		}
	}
}

// cut returns the available data from one offset to another.
func cut(data []byte, from, to uint64) []byte {
	have := uint64(len(data))
	return data[min(from, have):min(to, have)]
}

func (a *Assembler) translate(e wire.Event) *protocol.Event {
	out := &protocol.Event{
		Enter:       request.Stamp(e.Enter),
		Marker:      request.Stamp(e.Marker),
		Exit:        request.Stamp(e.Exit),
		Arrived:     request.Stamp(e.Arrived),
		ArrivedLast: request.Stamp(e.ArrivedLast),
		Wait:        time.Duration(e.Wait),
		Blocked:     time.Duration(e.Blocked),
		Bytes:       e.Count,
		Data:        e.Bytes(),
		PID:         e.Pid,
		TID:         e.Tid,
		Comm:        a.comms.of(e.Command()),
	}
	switch e.EventKind() {
	case wire.Read:
		out.Kind = protocol.Read
	case wire.Write:
		out.Kind = protocol.Write
	default:
		out.Kind = protocol.Close
		out.Error = errorType(e.Error)
	}
	return out
}

// account notes what is outstanding on a connection, and adds what its pairer gave
// up since the last call.
func (a *Assembler) account(c *connection) {
	a.outstanding.note(c.id, c.pairer.Outstanding())
	now := c.pairer.Counts()
	a.counts.desynced.Add(now.Desynced - c.counts.Desynced)
	a.counts.overflowed.Add(now.Overflowed - c.counts.Overflowed)
	a.counts.unpaired.Add(now.Unpaired - c.counts.Unpaired)
	c.counts = now
}
