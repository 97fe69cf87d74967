package http1

import (
	"slices"
	"time"

	"lapwing/collectors/protocol"
	"lapwing/collectors/request"
)

// Limits of what one connection may keep.
const (
	maxHead = 16 << 10 // bytes of one head, per direction
	maxKept = 8 << 10  // bytes of facts of all outstanding requests
	maxFree = 16       // exchanges kept for reuse
)

// minRequest is the length of the shortest request in bytes.
const minRequest = uint64(len("GET / HTTP/1.1\r\n\r\n"))

// Pairer frames the requests and responses of one connection from its reads and
// writes, and pairs them. It is not safe for concurrent use.
type Pairer struct {
	conn request.Request // what all requests of the connection share
	done func(*request.Request)

	unknown func(reason string) // may be nil
	noRoom  func(kept int) bool

	queue     []*exchange // requests without a complete response, oldest first
	free      []*exchange
	untracked int    // number of requests after those of the queue that are not kept
	seq       uint32 // number of the newest request
	kept      int    // bytes of facts that are kept
	begins    uint64 // number of requests that have started

	in        inbound
	out       outbound
	unseen    reading       // reads that may contain requests that were not seen
	hidden    uint64        // bytes of those reads that are not at hand
	writes    uint64        // number of the latest write
	lastEnter request.Stamp // entry of the last write of the latest response

	req    RequestHead // the heads that were parsed last
	resp   ResponseHead
	counts protocol.Counts
	lapse  lapse
	tunnel bool
	closed bool
}

// NewPairer returns the pairer of a connection that is between two requests. It
// passes on finished requests in order.
func NewPairer(o protocol.Options) *Pairer {
	return &Pairer{conn: o.Shared(), done: o.Done, unknown: o.Unknown, noRoom: o.NoRoom, seq: o.Base.Seq}
}

// Seed takes a request that was in progress when the connection started to report
// each read and write. r has its stamps, flags and parts so far. head is the start
// of the readBytes bytes that were read, and respHead the start of the respBytes
// bytes of its response. Seed is called before the first event, with the oldest
// request first. What was read may turn out to be several requests.
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
			rd.seed = nil // this is the rest of the previous request
		}
	}
	p.read(&rd)
	w := writingOfSeed(&r, respHead, respBytes)
	p.write(&w)
}

// Handle takes the next event of the connection.
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

// Expire implements protocol.Pairer. It does nothing, because silence does not end
// an HTTP/1 response. If the end of a response can no longer be seen, the request
// is passed on when the next response starts or the connection ends.
func (p *Pairer) Expire(request.Stamp, time.Duration) {}

// Tunnel reports whether the connection left HTTP/1 by an upgrade. It has no more
// requests then.
func (p *Pairer) Tunnel() bool { return p.tunnel }

// Desynced returns Counts().Desynced.
func (p *Pairer) Desynced() uint64 { return p.counts.Desynced }

// Counts returns what was given up so far.
func (p *Pairer) Counts() protocol.Counts { return p.counts }

// Outstanding returns the number of requests that wait for their response to end.
func (p *Pairer) Outstanding() int { return len(p.queue) + p.untracked }

// awaited returns the number of requests whose response has not started.
func (p *Pairer) awaited() int {
	n := p.Outstanding()
	if p.out.cur != nil || p.out.untracked {
		n--
	}
	return n
}

// begin adds a request that starts with a read. It returns nil if there are too
// many requests. After one that is not kept, further ones are not kept either, so
// that the order remains correct.
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

// release takes back an exchange that is no longer used.
func (p *Pairer) release(x *exchange) {
	p.kept -= len(x.kept)
	if len(p.free) < maxFree {
		*x = exchange{kept: x.kept[:0]}
		p.free = append(p.free, x)
	}
}

// describe keeps the facts of a request's head.
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

// emit passes the oldest request on, if it certainly is one.
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

// describePartial keeps the facts of the incomplete head that is being read.
func (p *Pairer) describePartial() {
	if p.in.cur != nil && p.in.place == inHead {
		ParseRequest(p.in.head, &p.req)
		p.describe(p.in.cur, &p.req)
	}
}

// becomeTunnel stops the framing. What seemed to be requests after the upgrade are
// bytes of the tunnel.
func (p *Pairer) becomeTunnel() {
	p.counts.Unpaired += uint64(p.Outstanding())
	*p = Pairer{conn: p.conn, seq: p.seq, begins: p.begins, counts: p.counts, tunnel: true}
}

// close passes on the outstanding requests at the end of the connection.
func (p *Pairer) close(ev *protocol.Event) {
	p.describePartial()
	if x := p.out.cur; x != nil && p.endResponse(ev) {
		p.emit(x)
	}
	for i := 0; len(p.queue) > 0; i++ {
		x := p.queue[0]
		if i > 0 {
			x.r.Flags |= request.Pipelined // the previous request was never answered
		}
		x.r.Error, x.r.Closed = ev.Error, max(ev.Exit, ev.Enter)
		if x.r.Error == "" {
			x.r.Error = request.ErrorClosed
		}
		p.emit(x)
	}
	*p = Pairer{conn: p.conn, seq: p.seq, begins: p.begins, counts: p.counts, closed: true}
}

// endResponse takes what was written of the current response and reports whether it
// may be complete.
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
