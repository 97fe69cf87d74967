package fastcgi

import (
	"slices"
	"time"

	"lapwing/collectors/protocol"
	"lapwing/collectors/protocol/gateway"
	"lapwing/collectors/request"
)

// maxOpen limits the requests that are in progress on a connection.
const maxOpen = 256

// exchange is a request in progress.
type exchange struct {
	gateway.Exchange

	id      uint16
	role    byte
	params  gateway.Pairs
	body    uint64 // bytes of STDIN so far
	aborted bool
}

// Pairer pairs the requests of a connection with their responses, by their numbers.
// It is not safe for concurrent use.
type Pairer struct {
	opts   protocol.Options
	shared request.Request
	seq    uint32
	counts protocol.Counts

	open   []*exchange
	free   *exchange // for reuse
	in     record
	first  protocol.Event // the read that returned the first byte of a record
	out    record
	writes uint64
	told   bool // the connection was counted as violating the protocol
	closed bool
}

var _ protocol.Pairer = (*Pairer)(nil)

// Counts implements protocol.Pairer.
func (p *Pairer) Counts() protocol.Counts { return p.counts }

// Tunnel implements protocol.Pairer. FastCGI has no tunnels.
func (p *Pairer) Tunnel() bool { return false }

// Outstanding implements protocol.Pairer.
func (p *Pairer) Outstanding() int { return len(p.open) }

// Handle implements protocol.Pairer.
func (p *Pairer) Handle(ev *protocol.Event) {
	if p.closed {
		return
	}
	switch ev.Kind {
	case protocol.Read:
		p.read(ev)
	case protocol.Write:
		p.write(ev)
	case protocol.Close:
		p.close(ev)
	}
}

// Lose implements protocol.Pairer. What is missing may be the end of any of the
// requests in progress, so none of them is reported.
func (p *Pairer) Lose() {
	p.counts.Desynced++
	p.drop()
	p.in.lose()
	p.out.lose()
}

// drop gives up all requests in progress.
func (p *Pairer) drop() {
	p.counts.Unpaired += uint64(len(p.open))
	p.open = p.open[:0]
}

// Expire implements protocol.Pairer.
func (p *Pairer) Expire(now request.Stamp, silence time.Duration) {
	if x := p.only(); x != nil && x.Known && p.out.lost && x.Responding() && x.Silent(now) >= silence {
		p.finish(x, "", 0)
	}
}

// only returns the request in progress, if there is exactly one.
func (p *Pairer) only() *exchange {
	if len(p.open) == 1 {
		return p.open[0]
	}
	return nil
}

// find returns the request with that number, or nil.
func (p *Pairer) find(id uint16) *exchange {
	for _, x := range p.open {
		if x.id == id {
			return x
		}
	}
	return nil
}

// begin starts a request with the read that returned its first byte.
func (p *Pairer) begin(id uint16, ev *protocol.Event) {
	if old := p.find(id); old != nil {
		p.replace(old)
	}
	if len(p.open) == 0 {
		p.out.regain()
	}
	p.seq++
	if len(p.open) >= maxOpen || p.opts.NoRoom(len(p.open)) {
		p.counts.Overflowed++
		return
	}
	x := p.free
	p.free = nil
	if x == nil {
		x = new(exchange)
	}
	*x = exchange{Exchange: x.Exchange, id: id, params: gateway.Pairs{Length: length, Ahead: true}}
	x.Begin(p.shared, p.seq, ev)
	p.open = append(p.open, x)
}

// replace ends a request whose number is used for another one. Its end was not
// seen.
func (p *Pairer) replace(x *exchange) {
	if x.Known && x.Responding() && p.out.lost {
		p.finish(x, "", 0)
		return
	}
	p.counts.Unpaired++
	p.remove(x)
}

func (p *Pairer) remove(x *exchange) {
	if i := slices.Index(p.open, x); i >= 0 {
		p.open = slices.Delete(p.open, i, i+1)
	}
}

// finish passes a request on.
func (p *Pairer) finish(x *exchange, cause string, at request.Stamp) {
	p.remove(x)
	r := x.Finish(cause, at)
	if r.Flags&request.HeadCut != 0 {
		p.counts.HeadsCut++
	}
	p.opts.Done(r)
	p.free = x
}

// reject counts the connection as one that violates the protocol.
func (p *Pairer) reject(why string) {
	if !p.told && p.opts.Unknown != nil {
		p.opts.Unknown(Name + "_" + why)
	}
	p.told = true
}

// close passes on the requests in progress at the end of the connection.
func (p *Pairer) close(ev *protocol.Event) {
	p.closed = true
	for len(p.open) > 0 {
		x := p.open[0]
		if !x.Known {
			p.remove(x)
			p.reject("truncated")
			continue
		}
		p.finish(x, p.cause(x, ev), max(ev.Exit, ev.Enter))
	}
}

// cause returns the reason why a response is not complete when the connection ends.
func (p *Pairer) cause(x *exchange, ev *protocol.Event) string {
	switch {
	case p.out.lost && x.Responding() && ev.Error != request.ErrorReset:
		return ""
	case ev.Error == "":
		return request.ErrorClosed
	}
	return ev.Error
}
