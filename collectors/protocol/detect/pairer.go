package detect

import (
	"bytes"
	"time"

	"lapwing/collectors/protocol"
	"lapwing/collectors/request"
)

// maxHeld limits the reads that are kept until the protocol is known.
const maxHeld = 32

// Pairer is the pairer of a connection whose protocol is not known yet. It keeps
// what was read until the bytes show the protocol. Then it passes the connection to
// the pairer of that protocol.
type Pairer struct {
	protocol.Pairer // nil until the protocol is known

	opts protocol.Options
	seen []byte
	held []protocol.Event
	over bool
}

var _ protocol.Pairer = (*Pairer)(nil)

// New returns the pairer of a connection of which nothing was read yet.
func New(opts protocol.Options) *Pairer { return &Pairer{opts: opts} }

// Handle implements protocol.Pairer.
func (p *Pairer) Handle(ev *protocol.Event) {
	switch {
	case p.over:
	case p.Pairer != nil:
		p.Pairer.Handle(ev)
	case ev.Kind == protocol.Read:
		p.look(ev)
	default: // written to or closed before the protocol was known
		p.giveUp()
	}
}

// look takes a read and tries to find the protocol.
func (p *Pairer) look(ev *protocol.Event) {
	b := ev.Data
	if len(p.seen) > 0 {
		p.seen = append(p.seen, ev.Data...)
		b = p.seen
	}
	found, match := Of(b)
	switch {
	case match == protocol.Yes:
		p.settle(found, ev)
	case match == protocol.No, len(b) >= protocol.MatchBytes, len(p.held) >= maxHeld, ev.Bytes > uint64(len(ev.Data)):
		p.seen = b
		p.giveUp()
	default:
		p.hold(ev)
	}
}

// settle passes the connection to the pairer of its protocol.
func (p *Pairer) settle(found protocol.Protocol, ev *protocol.Event) {
	p.Pairer = found.New(p.opts)
	for i := range p.held {
		p.Pairer.Handle(&p.held[i])
	}
	p.seen, p.held = nil, nil
	p.Pairer.Handle(ev)
}

func (p *Pairer) hold(ev *protocol.Event) {
	if len(p.held) == 0 {
		p.seen = bytes.Clone(ev.Data)
	}
	kept := *ev
	kept.Data = bytes.Clone(ev.Data)
	p.held = append(p.held, kept)
}

func (p *Pairer) giveUp() {
	p.over = true
	if p.opts.Unknown != nil {
		p.opts.Unknown(Reason(p.seen))
	}
	p.seen, p.held = nil, nil
}

// Lose implements protocol.Pairer. Without the first bytes of a connection its
// protocol cannot be found.
func (p *Pairer) Lose() {
	switch {
	case p.Pairer != nil:
		p.Pairer.Lose()
	case !p.over:
		p.giveUp()
	}
}

// Expire implements protocol.Pairer.
func (p *Pairer) Expire(now request.Stamp, silence time.Duration) {
	if p.Pairer != nil {
		p.Pairer.Expire(now, silence)
	}
}

// Outstanding implements protocol.Pairer.
func (p *Pairer) Outstanding() int {
	if p.Pairer != nil {
		return p.Pairer.Outstanding()
	}
	return 0
}

// Counts implements protocol.Pairer.
func (p *Pairer) Counts() protocol.Counts {
	if p.Pairer != nil {
		return p.Pairer.Counts()
	}
	return protocol.Counts{}
}

// Tunnel implements protocol.Pairer.
func (p *Pairer) Tunnel() bool { return p.Pairer != nil && p.Pairer.Tunnel() }
