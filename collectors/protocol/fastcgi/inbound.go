package fastcgi

import (
	"encoding/binary"

	"lapwing/collectors/protocol"
)

// read takes a read event.
func (p *Pairer) read(ev *protocol.Event) {
	s := protocol.NewStretch(ev.Data, ev.Bytes)
	if p.in.lost {
		p.resync(ev)
	}
	for s.N > 0 && !p.in.lost {
		if p.in.headed() {
			p.readRest(ev, &s)
		} else {
			p.readHeader(ev, &s)
		}
		if p.in.ended() {
			p.endRead()
		}
	}
	// The place is lost, but the bytes can only belong to one request.
	if x := p.only(); x != nil && s.N > 0 {
		x.Enough = true
		x.AddRead(ev, s.N)
	}
}

// resync finds the framing again: a read that starts with a BEGIN record starts a
// request, unless there is one that is not answered yet. The body of that one may
// look like a BEGIN record.
func (p *Pairer) resync(ev *protocol.Event) {
	for _, x := range p.open {
		if !x.Responding() || !p.out.lost {
			return
		}
	}
	if !begins(ev.Data) {
		return
	}
	for len(p.open) > 0 {
		p.replace(p.open[0])
	}
	p.in, p.out = record{}, record{}
}

// readHeader takes bytes of a record's header off s.
func (p *Pairer) readHeader(ev *protocol.Event, s *protocol.Stretch) {
	if p.in.have == 0 {
		p.first = *ev
		p.first.Data = nil
	}
	if !p.in.takeHeader(s) {
		p.loseRead(s)
		return
	}
	if !p.in.headed() {
		return
	}
	if p.in.kind == typeBegin {
		p.begin(p.in.id, &p.first)
	}
	if x := p.find(p.in.id); x != nil {
		x.AddRead(ev, headerLen)
	}
}

// loseRead gives up the place, because bytes are not at hand or are not a record.
func (p *Pairer) loseRead(s *protocol.Stretch) {
	p.counts.Desynced++
	if p.in.headed() || len(s.Data) > 0 || s.N == 0 {
		p.malformed()
	}
	p.in.lose()
}

// malformed drops the requests whose variables are not known yet.
func (p *Pairer) malformed() {
	p.reject("malformed")
	for i := len(p.open) - 1; i >= 0; i-- {
		if x := p.open[i]; !x.Known {
			p.remove(x)
		}
	}
}

// readRest takes content and padding off s.
func (p *Pairer) readRest(ev *protocol.Event, s *protocol.Stretch) {
	part := s.Cut(p.in.content)
	p.in.content -= part.N
	padding := s.Skip(p.in.padding)
	p.in.padding -= padding
	if p.in.kind == typeBegin {
		p.in.keep(part)
	}
	x := p.find(p.in.id)
	if x == nil {
		return
	}
	x.AddRead(ev, part.N+padding)
	switch p.in.kind {
	case typeParams:
		x.params.Take(part, &x.Vars)
	case typeStdin:
		x.body += part.N
	}
}

// endRead handles a record that is complete.
func (p *Pairer) endRead() {
	empty := binary.BigEndian.Uint16(p.in.header[4:]) == 0
	kind, x := p.in.kind, p.find(p.in.id)
	p.in.have = 0
	if x == nil {
		return
	}
	switch kind {
	case typeBegin:
		x.role = p.in.body[1]
	case typeAbort:
		x.aborted = true
	case typeParams:
		if empty && !x.Known {
			p.endParams(x)
		}
	case typeStdin:
		if x.Known {
			x.Enough = x.Enough || p.wholeBody(x)
			x.Read = x.Read || empty && x.role != roleFilter
		}
	case typeData:
		x.Read = x.Read || empty && x.Known
	}
}

// endParams takes the facts from the complete variables.
func (p *Pairer) endParams(x *exchange) {
	if !x.params.End(&x.Vars) || !x.Describe() {
		p.remove(x)
		p.reject("malformed")
		return
	}
	x.Enough = p.wholeBody(x)
	x.Read = x.role == roleAuthorizer
}

// wholeBody reports whether the whole body was read. Servers may read the empty
// record that ends it later.
func (p *Pairer) wholeBody(x *exchange) bool {
	n, known := x.Vars.Length()
	return known && x.body >= n
}
