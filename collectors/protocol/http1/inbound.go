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
	head  []byte    // begin of a head whose end has not come yet
	body  body      // of the request under way; lost between messages, too
	begun bool      // a request is under way
	waits bool      // its client waits for leave to send the body, of which nothing came
	cur   *exchange // that request; nil when it is not kept or already answered

	arrived, returned request.Stamp // of the latest read of that request
}

func (in *inbound) lost() bool { return in.place == inBody && in.body.kind == bodyLost }

// reset goes to the begin of the next message. It keeps the buffer.
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

// talksOn reports whether the response under way ends with the connection: what
// the client says meanwhile is no request.
func (p *Pairer) talksOn() bool {
	return p.in.place == atStart && p.out.begun && p.out.place == inBody && p.out.body.kind == bodyToClose
}

// resyncRead finds the way back: where the place in the bytes is lost, a read
// that begins with a request line begins a request. So does one where a body is
// due whose client got the response instead of leave to send it.
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

// cutShort gives up on the rest of the request under way: what was read of it
// so far is taken to be all.
func (p *Pairer) cutShort() {
	p.counts.Desynced++
	if x := p.in.cur; x != nil {
		x.r.ArrivedLast, x.r.ReadLast = p.in.arrived, p.in.returned
	}
	p.in.reset()
}

// beginsRequest reports whether data begins with what is, beyond doubt, a
// request line.
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

// takeIn takes the next n bytes off the read as bytes of the request under
// way, which begins with them if none is.
func (p *Pairer) takeIn(rd *reading, n uint64) {
	rd.Skip(n)
	if !p.in.begun {
		p.in.begun, p.in.cur = true, p.begin(rd)
	}
	p.attribute(rd, n)
}

// attribute counts n bytes, and the wait before the read, as the request's
// that is under way.
func (p *Pairer) attribute(rd *reading, n uint64) {
	x := p.in.cur
	if x == nil {
		return
	}
	p.in.arrived, p.in.returned = rd.arrivedLast, rd.last
	x.r.RequestBytes += n
	wait := rd.wait
	if x == p.out.cur && p.out.begun {
		// Parsing ended when the response began, and the wait for the client
		// that is part of it did, too.
		wait -= min(wait, protocol.Between(p.out.First, rd.arrived))
	}
	x.r.ClientWait += wait
	rd.wait = 0
}

// beginBody goes on behind the head.
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

// cutHead gives up on the rest of a head that is not at hand, or too long.
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

// rejectHead deals with bytes where a request should begin that are none, or
// not at hand. A request that was taken to begin with them is taken back.
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

// withdraw takes back the newest request, which turned out to be none. Its
// stamps stay at hand: should the server answer it as HTTP, it is one.
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

// readBody takes body bytes, or bytes of no known place, off the read.
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

// endRequest marks the request under way as wholly read.
func (p *Pairer) endRequest(rd *reading) {
	if p.in.cur != nil {
		p.in.cur.endRead(rd)
	}
	p.in.reset()
}

// touchLost takes a read in whose place is not known. It may be the last one
// of the request under way, unless that is already being answered.
func (p *Pairer) touchLost(rd *reading) {
	switch x := p.in.cur; {
	case x == nil:
		p.noteUnseen(rd)
	case x != p.out.cur || !p.out.begun:
		x.endRead(rd)
	}
}

// noteUnseen remembers a read that no request is known to be in. It matters if
// the server is not busy with another and then answers.
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

// promote makes a request of the unseen reads, because a response to them
// begins. Where bytes are missing there may be room for yet another one.
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
