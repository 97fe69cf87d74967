package http1

import (
	"lapwing/collectors/request"

	"lapwing/collectors/protocol"
)

// place is where in a message a direction of the connection is.
type place uint8

const (
	atStart place = iota // between two messages
	inHead
	inBody
)

// inbound frames the requests in what the server reads.
type inbound struct {
	place place
	head  []byte    // start of a head whose end has not come yet
	body  body      // of the current request; between messages the place can be lost, too
	begun bool      // there is a current request: it has started and is not fully read
	waits bool      // its client sent Expect: 100-continue, and nothing of the body has come
	cur   *exchange // the current request; nil if it is not kept or already answered

	arrived, returned request.Stamp // of the latest read of the current request
}

func (in *inbound) lost() bool { return in.place == inBody && in.body.kind == bodyLost }

// reset goes to the start of the next message. It keeps the buffer.
func (in *inbound) reset() { *in = inbound{head: in.head[:0]} }

// read frames one read.
func (p *Pairer) read(rd *reading) {
	if p.talksOn() {
		return
	}
	p.resyncRead(rd)
	for rd.N > 0 {
		switch p.in.place {
		case atStart:
			rd.Skip(uint64(skipBreaks(rd.Data)))
			if rd.N > 0 {
				p.in.place = inHead
			}
		case inHead:
			p.readHead(rd)
		case inBody:
			p.readBody(rd)
		}
	}
}

// talksOn reports whether the current response ends with the connection. What the
// client sends until then is not a request.
func (p *Pairer) talksOn() bool {
	return p.in.place == atStart && p.out.begun && p.out.place == inBody && p.out.body.kind == bodyToClose
}

// resyncRead finds the framing again. If the place in the bytes is lost, a read
// that starts with a request line starts a request. The same holds if a body is due
// whose client got the response instead of 100 Continue.
func (p *Pairer) resyncRead(rd *reading) {
	if p.in.place != inBody || !p.beginsRequest(rd.Data) {
		return
	}
	switch {
	case p.in.lost():
		p.in.reset()
	case p.in.waits && p.in.cur == nil && rd.arrived > p.lastEnter:
		p.cutShort()
	}
}

// cutShort gives up the rest of the current request. What was read so far is taken
// to be all of it.
func (p *Pairer) cutShort() {
	p.counts.Desynced++
	if x := p.in.cur; x != nil {
		x.r.ArrivedLast, x.r.ReadLast = p.in.arrived, p.in.returned
	}
	p.in.reset()
}

// beginsRequest reports whether data certainly starts with a request line.
func (p *Pairer) beginsRequest(data []byte) bool {
	if !ParseRequest(data, &p.req).IsHead() || p.req.Method == "" {
		return false
	}
	return !p.req.LineCut || p.req.Method != protocol.MethodOther && len(p.req.Path) > 0
}

// readHead takes the head, or a piece of it, off the read.
func (p *Pairer) readHead(rd *reading) {
	had := len(p.in.head)
	head := rd.Data[:min(len(rd.Data), maxHead-had)]
	if had > 0 {
		p.in.head = append(p.in.head, head...)
		head = p.in.head
	}
	verdict := ParseRequest(head, &p.req)
	switch {
	case len(head) == 0 || !verdict.IsHead():
		p.rejectHead(rd)
	case verdict == OK:
		p.takeIn(rd, uint64(max(0, p.req.HeadLen-had)))
		p.describe(p.in.cur, &p.req)
		p.beginBody(rd, requestBody(&p.req))
	case rd.Missing() > 0 || len(head) >= maxHead:
		p.cutHead(rd)
	default:
		if had == 0 {
			p.in.head = append(p.in.head, head...)
		}
		p.takeIn(rd, rd.N)
	}
}

// takeIn takes the next n bytes off the read as bytes of the current request. If
// there is none, a request starts with them.
func (p *Pairer) takeIn(rd *reading, n uint64) {
	rd.Skip(n)
	if !p.in.begun {
		p.in.begun, p.in.cur = true, p.begin(rd)
	}
	p.attribute(rd, n)
}

// attribute adds n bytes, and the wait before the read, to the current request.
func (p *Pairer) attribute(rd *reading, n uint64) {
	x := p.in.cur
	if x == nil {
		return
	}
	p.in.arrived, p.in.returned = rd.arrivedLast, rd.last
	x.r.RequestBytes += n
	wait := rd.wait
	if x == p.out.cur && p.out.begun {
		// Parsing ended when the response started, and so did the client_wait,
		// which is part of it.
		wait -= min(wait, protocol.Between(p.out.First, rd.arrived))
	}
	x.r.ClientWait += wait
	rd.wait = 0
}

// beginBody continues after the head.
func (p *Pairer) beginBody(rd *reading, b body) {
	p.in.head = p.in.head[:0]
	p.in.place, p.in.body = inBody, b
	p.in.waits = p.req.Expect100
	switch b.kind {
	case bodyNone:
		p.endRequest(rd)
	case bodyLost:
		p.counts.Desynced++
		p.touchLost(rd)
	}
}

// cutHead gives up the rest of a head that is not at hand or too long.
func (p *Pairer) cutHead(rd *reading) {
	missing := rd.Missing()
	p.takeIn(rd, rd.N)
	p.describe(p.in.cur, &p.req)
	p.markCut(p.in.cur)
	p.beginBody(rd, body{kind: bodyLost})
	if missing >= minRequest {
		p.unseen, p.hidden = *rd, missing
		p.unseen.Data = nil
	}
}

// rejectHead handles bytes at the start of a request that are not a request, or not
// at hand. A request that seemed to start with them is withdrawn.
func (p *Pairer) rejectHead(rd *reading) {
	missing := rd.Missing()
	switch x := p.in.cur; {
	case rd.seed != nil && !p.in.begun:
		p.takeIn(rd, rd.N)
		p.markCut(p.in.cur)
	case x != nil && x != p.out.cur && !x.seeded:
		p.withdraw(x)
	}
	p.beginBody(rd, body{kind: bodyLost})
	p.hidden = missing
}

// withdraw removes the newest request, which turned out not to be one. Its stamps
// are kept: if the server answers it with HTTP, it was a request.
func (p *Pairer) withdraw(x *exchange) {
	rd := reading{
		arrived: x.r.Arrived, first: x.r.ReadFirst,
		pid: x.r.PID, tid: x.r.TID, comm: x.r.Comm,
	}
	p.queue = p.queue[:len(p.queue)-1]
	p.seq--
	p.begins--
	p.counts.Unpaired++
	p.release(x)
	p.in.begun, p.in.cur = false, nil
	p.noteUnseen(&rd)
}

// readBody takes bytes of a body, or bytes at an unknown place, off the read.
func (p *Pairer) readBody(rd *reading) {
	before, lost := rd.N, p.in.lost()
	p.in.waits = false
	done := p.in.body.take(&rd.Stretch)
	p.attribute(rd, before-rd.N)
	switch {
	case done:
		p.endRequest(rd)
	case p.in.lost():
		if !lost {
			p.counts.Desynced++
		}
		p.touchLost(rd)
	}
}

// endRequest marks the current request as fully read.
func (p *Pairer) endRequest(rd *reading) {
	if p.in.cur != nil {
		p.in.cur.endRead(rd)
	}
	p.in.reset()
}

// touchLost takes a read at an unknown place. It may be the last read of the
// current request, unless that is already being answered.
func (p *Pairer) touchLost(rd *reading) {
	switch x := p.in.cur; {
	case x == nil:
		p.noteUnseen(rd)
	case x != p.out.cur || !p.out.begun:
		x.endRead(rd)
	}
}

// noteUnseen remembers a read that belongs to no known request. It matters if the
// server has no other request to answer and then answers.
func (p *Pairer) noteUnseen(rd *reading) {
	if p.awaited() > 0 {
		return
	}
	if !p.unseen.first.Seen() {
		p.unseen, p.hidden = *rd, 0
		p.unseen.Data = nil
	}
	p.unseen.arrivedLast, p.unseen.last = rd.arrivedLast, rd.last
}

// promote makes a request of the unseen reads, because a response to them starts.
// If enough bytes are missing, the reads may contain another request.
func (p *Pairer) promote() *exchange {
	unseen, hidden := p.unseen, p.hidden
	rd := unseen
	x := p.begin(&rd)
	x.endRead(&rd)
	x.r.Flags |= request.Orphan
	if hidden >= 2*minRequest {
		p.unseen, p.hidden = unseen, hidden-minRequest
	}
	return x
}
