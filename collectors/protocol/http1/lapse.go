package http1

import (
	"lapwing/collectors/protocol"
	"lapwing/collectors/request"
)

// lapse is the time after events of the connection were lost. In this time it is
// not known how many requests wait for a response.
type lapse struct {
	on      bool
	written request.Stamp // entry of the latest write since the loss
}

// Lose implements protocol.Pairer. It is not known which of the outstanding
// requests were answered meanwhile, so none of them is reported.
func (p *Pairer) Lose() {
	if p.closed || p.tunnel {
		return
	}
	lost := p.Outstanding()
	*p = Pairer{conn: p.conn, done: p.done, unknown: p.unknown, noRoom: p.noRoom, seq: p.seq, begins: p.begins, counts: p.counts, lapse: lapse{on: true}}
	p.counts.Desynced++
	p.counts.Unpaired += uint64(lost)
}

// goneBy reports whether an event is still within the lapse. The lapse ends with a
// request that arrives after a response, because its client waits for an answer
// before it sends again.
func (p *Pairer) goneBy(ev *protocol.Event) bool {
	l := &p.lapse
	switch {
	case !l.on:
		return false
	case ev.Kind == protocol.Close:
	case ev.Kind == protocol.Write:
		l.written = ev.Enter
	case p.beginsRequest(ev.Data):
		if l.written.Seen() && ev.Arrived > l.written {
			l.on = false
			return false
		}
		p.counts.Unpaired++
	}
	return true
}
