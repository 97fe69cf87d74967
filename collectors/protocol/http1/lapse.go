package http1

import (
	"lapwing/collectors/protocol"
	"lapwing/collectors/request"
)

// lapse is the time after events of the connection were lost: it is not known
// how many requests wait for a response.
type lapse struct {
	on      bool
	written request.Stamp // entry of the latest write since
}

// Lose implements protocol.Pairer. Which of the requests that are outstanding
// were answered meanwhile is not known, so none of them is reported.
func (p *Pairer) Lose() {
	if p.closed || p.tunnel {
		return
	}
	lost := p.Outstanding()
	*p = Pairer{conn: p.conn, done: p.done, unknown: p.unknown, noRoom: p.noRoom, seq: p.seq, begins: p.begins, counts: p.counts, lapse: lapse{on: true}}
	p.counts.Desynced++
	p.counts.Unpaired += uint64(lost)
}

// goneBy reports whether an event is still within the lapse, which ends with a
// request that came after a response: its client awaits its answers.
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
