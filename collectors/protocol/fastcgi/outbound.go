package fastcgi

import (
	"lapwing/collectors/protocol"
	"lapwing/collectors/request"
)

// requestComplete is the status in the END record of a request that was not
// refused.
const requestComplete = 0

// write takes a write event.
func (p *Pairer) write(ev *protocol.Event) {
	p.writes++
	w := protocol.CallOf(ev)
	s := protocol.NewStretch(ev.Data, ev.Bytes)
	for s.N > 0 && !p.out.lost {
		if p.out.headed() {
			p.writeRest(&w, &s)
		} else {
			p.writeHeader(&w, &s)
		}
		if p.out.ended() {
			p.endWrite(&w)
		}
	}
	if x := p.only(); x != nil && s.N > 0 {
		x.AddWrite(&w, p.writes, s.N)
	}
}

// writeHeader takes bytes of a record's header off s.
func (p *Pairer) writeHeader(w *protocol.WriteCall, s *protocol.Stretch) {
	if !p.out.takeHeader(s) {
		p.loseWrite(s)
		return
	}
	if p.out.headed() {
		p.carry(w, headerLen)
	}
}

// carry adds n bytes other than content to the response. A record of the error
// stream does not start a response.
func (p *Pairer) carry(w *protocol.WriteCall, n uint64) {
	x := p.find(p.out.id)
	switch {
	case x == nil || n == 0:
	case p.out.kind == typeStderr:
		x.R.ResponseBytes += n
	default:
		x.AddWrite(w, p.writes, n)
	}
}

// loseWrite gives up the place, because bytes are not at hand or are not a record.
// If several responses are in progress, it is no longer known to which one the
// bytes belong.
func (p *Pairer) loseWrite(s *protocol.Stretch) {
	p.counts.Desynced++
	if p.out.headed() || len(s.Data) > 0 || s.N == 0 {
		p.reject("malformed")
	}
	p.out.lose()
	if len(p.open) > 1 {
		p.drop()
	}
}

// writeRest takes content and padding off s.
func (p *Pairer) writeRest(w *protocol.WriteCall, s *protocol.Stretch) {
	part := s.Cut(p.out.content)
	p.out.content -= part.N
	x := p.find(p.out.id)
	switch {
	case p.out.kind == typeEnd:
		p.out.keep(part)
		p.carry(w, part.N)
	case p.out.kind == typeStdout && x != nil:
		x.Content(w, p.writes, part)
	default:
		p.carry(w, part.N)
	}
	padding := s.Skip(p.out.padding)
	p.out.padding -= padding
	p.carry(w, padding)
}

// endWrite handles a record that is complete.
func (p *Pairer) endWrite(w *protocol.WriteCall) {
	p.out.have = 0
	if p.out.kind != typeEnd {
		return
	}
	x := p.find(p.out.id)
	switch {
	case x == nil:
		p.counts.Unpaired++
	case !x.Known: // ended before its variables were complete
		p.remove(x)
		p.counts.Unpaired++
	default:
		p.finish(x, p.verdict(x), w.Exit)
	}
}

// verdict returns the reason why a response that ended is not complete. It is empty
// if the response is complete.
func (p *Pairer) verdict(x *exchange) string {
	complete, told := x.Complete()
	switch {
	case p.out.body[4] != requestComplete:
		return request.ErrorRefused
	case !x.Head.Done, x.aborted && told && !complete:
		return request.ErrorClosed
	}
	return ""
}
