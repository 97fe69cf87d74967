package http1

import (
	"net/http"

	"lapwing/collectors/request"
)

// outbound frames the responses in what the server writes.
type outbound struct {
	timing

	place     place
	head      []byte // start of a head whose end has not come yet
	body      body
	begun     bool      // there is a current response
	cur       *exchange // the request that it answers; nil if that is not kept
	untracked bool      // it answers a request that was not kept
}

func (out *outbound) lost() bool { return out.place == inBody && out.body.kind == bodyLost }

func (out *outbound) reset() { *out = outbound{head: out.head[:0]} }

// method returns the method of the request that is answered.
func (out *outbound) method() string {
	if out.cur == nil {
		return ""
	}
	return out.cur.r.Method
}

// write frames one write.
func (p *Pairer) write(w *writing) {
	p.writes++
	p.resyncWrite(w.Data)
	for w.N > 0 && !p.tunnel {
		switch p.out.place {
		case atStart:
			p.out.place = inHead
		case inHead:
			p.writeHead(w)
		case inBody:
			p.writeBody(w)
		}
	}
}

// resyncWrite finds the framing again. A write that starts with a status line
// starts a response, if there is no current one or if another response is due.
func (p *Pairer) resyncWrite(data []byte) {
	out := &p.out
	if out.place != inBody || !ParseResponse(data, &p.resp).IsHead() || p.resp.Status == 0 {
		return
	}
	switch {
	case !out.begun:
		out.reset()
	case p.awaited() > 0 || p.unseen.first.Seen():
		if !out.lost() {
			p.counts.Desynced++
		}
		p.finish()
	}
}

// writeHead takes the head, or a piece of it, off the write.
func (p *Pairer) writeHead(w *writing) {
	had := len(p.out.head)
	head := w.Data[:min(len(w.Data), maxHead-had)]
	if had > 0 {
		p.out.head = append(p.out.head, head...)
		head = p.out.head
	}
	verdict := ParseResponse(head, &p.resp)
	switch {
	case len(head) > 0 && !verdict.IsHead():
		p.loseResponse(w)
	case verdict == OK:
		p.putOut(w, uint64(max(0, p.resp.HeadLen-had)))
		p.endHead()
	case w.Missing() > 0 || len(head) >= maxHead:
		p.cutResponse(w)
	default:
		if had == 0 {
			p.out.head = append(p.out.head, head...)
		}
		p.putOut(w, w.N)
	}
}

// putOut takes the next n bytes off the write as bytes of the current response. If
// there is none, a response starts with them.
func (p *Pairer) putOut(w *writing, n uint64) {
	w.Skip(n)
	if !p.out.begun {
		p.beginResponse()
	}
	p.out.Add(&w.WriteCall, p.writes, n)
}

// beginResponse finds the request that the response answers.
func (p *Pairer) beginResponse() {
	out := &p.out
	out.begun = true
	switch {
	case len(p.queue) > 0:
		out.cur = p.queue[0]
	case p.untracked > 0:
		out.untracked = true
	case p.unseen.first.Seen():
		out.cur = p.promote()
	default:
		p.counts.Unpaired++
	}
	out.early = out.cur != nil && out.cur == p.in.cur && !p.in.lost()
}

// endHead continues after a complete head.
func (p *Pairer) endHead() {
	out := &p.out
	if interim(p.resp.Status) {
		p.dropInterim()
		out.reset()
		return
	}
	p.describeResponse()
	out.place, out.body = inBody, responseBody(out.method(), &p.resp)
	switch out.body.kind {
	case bodyNone:
		p.finish()
	case bodyLost:
		p.counts.Desynced++
	}
}

// dropInterim notes that an interim response was written.
func (p *Pairer) dropInterim() {
	x := p.out.cur
	if p.resp.Status == http.StatusContinue {
		p.in.waits = false
	}
	if x == nil {
		return
	}
	x.r.ResponseBytes += p.out.Bytes
	if p.resp.Status == http.StatusContinue {
		x.r.Flags |= request.Continued
	}
}

// describeResponse takes the facts of the response's head, if the head contains at
// least the status.
func (p *Pairer) describeResponse() {
	if x := p.out.cur; x != nil && p.resp.Status != 0 {
		Describe(&x.r, nil, &p.resp, &x.m)
	}
}

// cutResponse gives up the rest of a head that is not at hand or too long.
func (p *Pairer) cutResponse(w *writing) {
	p.counts.Desynced++
	p.putOut(w, w.N)
	p.markCut(p.out.cur)
	switch status := p.resp.Status; {
	case status != 0 && interim(status):
		p.dropInterim()
		p.out.reset()
	case tunnels(p.out.method(), status):
		p.describeResponse()
		p.finish()
		return
	default:
		p.describeResponse()
		p.out.head = p.out.head[:0]
	}
	p.out.place, p.out.body = inBody, body{kind: bodyLost}
}

// loseResponse handles bytes at the start of a response that are not a response.
// They count as part of a response only if its start was seen before.
func (p *Pairer) loseResponse(w *writing) {
	p.counts.Desynced++
	if p.answersHalf() {
		p.giveUp()
		w.Skip(w.N)
		return
	}
	if p.out.begun {
		p.putOut(w, w.N)
	}
	w.Skip(w.N)
	p.out.head = p.out.head[:0]
	p.out.place, p.out.body = inBody, body{kind: bodyLost}
}

// answersHalf reports whether the request that is being answered has an incomplete
// head.
func (p *Pairer) answersHalf() bool {
	x := p.in.cur
	return x != nil && p.in.place == inHead && x == p.queue[0] && x.r.Status == 0
}

// giveUp stops following the connection. Half a head was answered with bytes that
// are not HTTP. So it was not a request, and the connection is of another protocol.
func (p *Pairer) giveUp() {
	p.withdraw(p.in.cur)
	if p.unknown != nil {
		p.unknown(NotHTTP.String())
	}
	*p = Pairer{conn: p.conn, seq: p.seq, begins: p.begins, counts: p.counts, closed: true}
}

// writeBody takes bytes of a body, or bytes at an unknown place, off the write.
func (p *Pairer) writeBody(w *writing) {
	before, lost := w.N, p.out.lost()
	done := p.out.body.take(&w.Stretch)
	if p.out.begun {
		p.out.Add(&w.WriteCall, p.writes, before-w.N)
	}
	if !lost && p.out.lost() {
		p.counts.Desynced++
	}
	if done {
		p.finish()
	}
}

// finish ends the current response and passes its request on.
func (p *Pairer) finish() {
	x, t, untracked := p.out.cur, p.out.timing, p.out.untracked
	p.out.reset()
	p.lastEnter = t.Enter
	if untracked {
		p.untracked--
	}
	if x == nil {
		return
	}
	x.respond(&t)
	upgraded := tunnels(x.r.Method, x.r.Status)
	if upgraded {
		x.r.Flags |= request.Upgraded
	}
	p.emit(x)
	if upgraded {
		p.becomeTunnel()
	}
}
