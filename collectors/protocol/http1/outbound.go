package http1

import (
	"net/http"

	"lapwing/collectors/request"
)

// outbound frames the responses in what the server writes.
type outbound struct {
	timing

	place     place
	head      []byte // begin of a head whose end has not come yet
	body      body
	begun     bool      // a response is under way
	cur       *exchange // what it answers; nil when that is not kept
	untracked bool      // it answers a request that was not kept
}

func (out *outbound) lost() bool { return out.place == inBody && out.body.kind == bodyLost }

func (out *outbound) reset() { *out = outbound{head: out.head[:0]} }

// method is that of the request that is answered.
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

// resyncWrite finds the way back: a write that begins with a status line
// begins a response if none is under way, or if another one is due.
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

// putOut takes the next n bytes off the write as bytes of the response under
// way, which begins with them if none is.
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

// endHead goes on behind a whole head.
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

// dropInterim notes that what was written is not the response.
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

// describeResponse takes in what the response's head says, if it got as far as
// the status.
func (p *Pairer) describeResponse() {
	if x := p.out.cur; x != nil && p.resp.Status != 0 {
		Describe(&x.r, nil, &p.resp, &x.m)
	}
}

// cutResponse gives up on the rest of a head that is not at hand, or too long.
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

// loseResponse deals with bytes where a response should begin that are none.
// They count as a response only if its begin was seen before.
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

// answersHalf reports whether what is being answered is a head that is not whole.
func (p *Pairer) answersHalf() bool {
	x := p.in.cur
	return x != nil && p.in.place == inHead && x == p.queue[0] && x.r.Status == 0
}

// giveUp stops to look at the connection: half a head was answered with bytes that
// are none of HTTP. It is no request, the two speak something else.
func (p *Pairer) giveUp() {
	p.withdraw(p.in.cur)
	if p.unknown != nil {
		p.unknown(NotHTTP.String())
	}
	*p = Pairer{conn: p.conn, seq: p.seq, begins: p.begins, counts: p.counts, closed: true}
}

// writeBody takes body bytes, or bytes of no known place, off the write.
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

// finish ends the response under way and hands its request out.
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
