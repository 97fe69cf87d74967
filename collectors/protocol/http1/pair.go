package http1

import (
	"slices"
	"time"

	"lapwing/collectors/protocol"
	"lapwing/collectors/request"
)

// Bounds of what one connection may hold.
const (
	maxHead = 16 << 10 // bytes of one head, per direction
	maxKept = 8 << 10  // bytes of facts of all outstanding requests
	maxFree = 16       // exchanges kept for reuse
)

// minRequest is the length of the shortest request.
const minRequest = uint64(len("GET / HTTP/1.1\r\n\r\n"))

// Pairer frames the requests and responses of one connection from its reads
// and writes and pairs them. It is not safe for concurrent use.
type Pairer struct {
	conn request.Request // what all requests of the connection share
	done func(*request.Request)

	unknown func(reason string) // nil when nobody wants to know
	noRoom  func(kept int) bool

	queue     []*exchange // requests without a complete response, oldest first
	free      []*exchange
	untracked int    // requests behind those of the queue, not kept
	seq       uint32 // of the newest request
	kept      int    // bytes of facts kept
	begins    uint64 // requests begun

	in        inbound
	out       outbound
	unseen    reading       // reads in which requests may be that were not seen
	hidden    uint64        // bytes of those reads that are not at hand
	writes    uint64        // number of the latest write
	lastEnter request.Stamp // entry of the last write of the latest response

	req    RequestHead // the latest heads that were parsed
	resp   ResponseHead
	counts protocol.Counts
	lapse  lapse
	tunnel bool
	closed bool
}

// NewPairer returns the pairer of a connection that is between two requests.
// Finished requests are handed out in order.
func NewPairer(o protocol.Options) *Pairer {
	return &Pairer{conn: o.Shared(), done: o.Done, unknown: o.Unknown, noRoom: o.NoRoom, seq: o.Base.Seq}
}

// Seed takes in a request that was under way when the connection began to
// report each read and write: its stamps, flags and parts so far, the first of
// the readBytes bytes read of it, and the first of the respBytes bytes of its
// response. Seeds come before the first event, the oldest request first. What
// was read may turn out to be several requests.
func (p *Pairer) Seed(r request.Request, head []byte, readBytes uint64, respHead []byte, respBytes uint64) {
	if p.closed || p.tunnel {
		return
	}
	rd := readingOfSeed(&r, head, readBytes)
	if p.in.place != atStart {
		switch {
		case p.in.lost():
			p.in.reset()
		case p.beginsRequest(rd.Data):
			p.cutShort()
		default:
			rd.seed = nil // the rest of the request before it
		}
	}
	p.read(&rd)
	w := writingOfSeed(&r, respHead, respBytes)
	p.write(&w)
}

// Handle takes in the next event of the connection.
func (p *Pairer) Handle(ev *protocol.Event) {
	if p.closed || p.tunnel || p.goneBy(ev) {
		return
	}
	switch ev.Kind {
	case protocol.Read:
		rd := readingOf(ev)
		p.read(&rd)
	case protocol.Write:
		w := writingOf(ev)
		p.write(&w)
	case protocol.Close:
		p.close(ev)
	}
}

// Expire implements protocol.Pairer. Silence ends nothing here: a request whose
// response can no longer be seen to end is handed out when the next response
// begins or the connection ends.
func (p *Pairer) Expire(request.Stamp, time.Duration) {}

// Tunnel reports whether the connection stopped to speak HTTP/1 after an
// upgrade. No more requests come of it.
func (p *Pairer) Tunnel() bool { return p.tunnel }

// Desynced is Counts().Desynced.
func (p *Pairer) Desynced() uint64 { return p.counts.Desynced }

// Counts tells what was given up so far.
func (p *Pairer) Counts() protocol.Counts { return p.counts }

// Outstanding is the number of requests that wait for their response to end.
func (p *Pairer) Outstanding() int { return len(p.queue) + p.untracked }

// awaited is the number of requests whose response has not begun.
func (p *Pairer) awaited() int {
	n := p.Outstanding()
	if p.out.cur != nil || p.out.untracked {
		n--
	}
	return n
}

// begin adds a request that begins with a read. It returns nil when there are
// too many; those behind one that is not kept are not kept either, so that the
// order stays true.
func (p *Pairer) begin(rd *reading) *exchange {
	p.unseen, p.hidden = reading{}, 0
	p.seq++
	p.begins++
	if p.untracked > 0 || len(p.queue) >= protocol.MaxKept || p.noRoom(len(p.queue)) {
		p.untracked++
		p.counts.Overflowed++
		return nil
	}
	x := p.newExchange()
	x.r = p.conn
	x.r.Seq, x.r.Detail = p.seq, &x.m
	x.start(rd)
	rd.wait, rd.seed = 0, nil
	if len(p.queue) == 0 {
		x.markPipelined(p.lastEnter)
	}
	p.queue = append(p.queue, x)
	return x
}

func (p *Pairer) newExchange() *exchange {
	if last := len(p.free) - 1; last >= 0 {
		x := p.free[last]
		p.free = p.free[:last]
		return x
	}
	return new(exchange)
}

// release takes back an exchange that is in no use any more.
func (p *Pairer) release(x *exchange) {
	p.kept -= len(x.kept)
	if len(p.free) < maxFree {
		*x = exchange{kept: x.kept[:0]}
		p.free = append(p.free, x)
	}
}

// describe keeps what a request's head tells.
func (p *Pairer) describe(x *exchange, h *RequestHead) {
	if x == nil {
		return
	}
	p.kept -= len(x.kept)
	if x.describe(h, maxKept-p.kept) {
		p.markCut(x)
	}
	p.kept += len(x.kept)
}

func (p *Pairer) markCut(x *exchange) {
	p.counts.HeadsCut++
	if x != nil {
		x.r.Flags |= request.HeadCut
	}
}

// emit hands the oldest request out, if it is one.
func (p *Pairer) emit(x *exchange) {
	if p.in.cur == x {
		p.describePartial()
		p.in.cur = nil
	}
	p.queue = slices.Delete(p.queue, 0, 1)
	if len(p.queue) > 0 {
		p.queue[0].markPipelined(p.lastEnter)
	}
	x.settle()
	if x.known() {
		p.done(&x.r)
	} else {
		p.counts.Unpaired++
	}
	p.release(x)
}

// describePartial keeps what there is of the head that is being read.
func (p *Pairer) describePartial() {
	if p.in.cur != nil && p.in.place == inHead {
		ParseRequest(p.in.head, &p.req)
		p.describe(p.in.cur, &p.req)
	}
}

// becomeTunnel stops the framing. What was read as requests behind the upgrade
// are the tunnel's bytes.
func (p *Pairer) becomeTunnel() {
	p.counts.Unpaired += uint64(p.Outstanding())
	*p = Pairer{conn: p.conn, seq: p.seq, begins: p.begins, counts: p.counts, tunnel: true}
}

// close hands out what is outstanding at the end of the connection.
func (p *Pairer) close(ev *protocol.Event) {
	p.describePartial()
	if x := p.out.cur; x != nil && p.endResponse(ev) {
		p.emit(x)
	}
	for i := 0; len(p.queue) > 0; i++ {
		x := p.queue[0]
		if i > 0 {
			x.r.Flags |= request.Pipelined // the one before it was never answered
		}
		x.r.Error, x.r.Closed = ev.Error, max(ev.Exit, ev.Enter)
		if x.r.Error == "" {
			x.r.Error = request.ErrorClosed
		}
		p.emit(x)
	}
	*p = Pairer{conn: p.conn, seq: p.seq, begins: p.begins, counts: p.counts, closed: true}
}

// endResponse takes in what was written of the response under way and reports
// whether nothing is known to be missing.
func (p *Pairer) endResponse(ev *protocol.Event) bool {
	out := &p.out
	if out.place == inHead {
		ParseResponse(out.head, &p.resp)
		if p.resp.Status != 0 && interim(p.resp.Status) {
			p.dropInterim()
			return false
		}
		p.describeResponse()
	}
	out.cur.respond(&out.timing)
	p.lastEnter = out.Enter
	switch {
	case out.place == inHead:
		return false
	case out.body.kind == bodyToClose:
		return ev.Error != request.ErrorReset
	}
	return out.lost()
}
