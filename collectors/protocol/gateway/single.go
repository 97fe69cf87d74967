package gateway

import (
	"net/http"
	"time"

	"lapwing/collectors/protocol"
	"lapwing/collectors/request"
)

// Format is the message format of a protocol with one request at a time on a
// connection: a prefix with the length of the variables, the variables, an optional
// suffix, and the body.
type Format struct {
	Name string
	// Prefix parses the prefix at the start of b. It returns the length of the
	// prefix and that of the variables. Maybe asks for more bytes.
	Prefix func(b []byte) (used int, size uint64, match protocol.Match)
	// NewDecoder returns a decoder for the variables of one request.
	NewDecoder func() Decoder
	// Suffix is the byte after the variables; 0 if there is none.
	Suffix byte
	// Chunked says that a body is sent in chunks.
	Chunked bool
	// Continue is the status with which the server asks for the body; empty if
	// there is none.
	Continue string
	// Reuse says that another request may follow on the connection.
	Reuse bool
}

// Single pairs the requests of a connection with their responses, one at a time.
type Single struct {
	format *Format
	opts   protocol.Options
	shared request.Request
	seq    uint32
	counts protocol.Counts

	x       Exchange
	begun   bool
	over    bool // the connection is no longer followed
	tunnel  bool
	part    part
	prefix  []byte
	left    uint64 // bytes that remain of the part
	known   bool   // left is the length of the body
	chunks  protocol.Chunks
	decoder Decoder
	writes  uint64
}

var _ protocol.Pairer = (*Single)(nil)

// NewSingle returns the pairer of a connection with this format.
func NewSingle(format *Format, opts protocol.Options) *Single {
	p := &Single{format: format, opts: opts, shared: opts.Shared(), seq: opts.Base.Seq}
	p.shared.Protocol = format.Name
	p.x.Head.Continue = format.Continue
	return p
}

// Counts implements protocol.Pairer.
func (p *Single) Counts() protocol.Counts { return p.counts }

// Tunnel implements protocol.Pairer.
func (p *Single) Tunnel() bool { return p.tunnel }

// Outstanding implements protocol.Pairer.
func (p *Single) Outstanding() int {
	if p.begun && !p.over {
		return 1
	}
	return 0
}

// Lose implements protocol.Pairer. It is not known whether the missing bytes were
// read or written, so the request is not reported.
func (p *Single) Lose() {
	if p.over {
		return
	}
	p.counts.Desynced++
	p.counts.Unpaired += uint64(p.Outstanding())
	p.over = true
}

// Expire implements protocol.Pairer. On a kept-alive connection it passes on the
// request that is complete.
func (p *Single) Expire(now request.Stamp, silence time.Duration) {
	if p.format.Reuse && p.answered() && p.x.Silent(now) >= silence {
		p.finish("", 0)
	}
}

// Handle implements protocol.Pairer.
func (p *Single) Handle(ev *protocol.Event) {
	if p.over {
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

// answered reports whether the request and its response are complete.
func (p *Single) answered() bool {
	complete, _ := p.x.Complete()
	return p.begun && !p.over && p.x.Read && complete
}

// reject reports why the connection cannot be followed.
func (p *Single) reject(why string) {
	p.over = true
	if p.opts.Unknown != nil {
		p.opts.Unknown(p.format.Name + "_" + why)
	}
}

// finish passes the request on.
func (p *Single) finish(cause string, at request.Stamp) {
	if p.x.Vars.Cut || p.x.Head.Cut {
		p.counts.HeadsCut++
	}
	p.begun = false
	p.opts.Done(p.x.Finish(cause, at))
}

func (p *Single) begin(ev *protocol.Event) {
	p.begun = true
	p.seq++
	p.x.Begin(p.shared, p.seq, ev)
	p.decoder = p.format.NewDecoder()
	p.part, p.prefix = inPrefix, p.prefix[:0]
	p.chunks = protocol.Chunks{}
}

func (p *Single) read(ev *protocol.Event) {
	if ev.Bytes == 0 {
		return
	}
	if p.format.Reuse && p.answered() {
		p.finish("", 0)
	}
	if !p.begun {
		p.begin(ev)
	}
	for s := protocol.NewStretch(ev.Data, ev.Bytes); s.N > 0 && !p.over; {
		before := s.N
		p.take(&s)
		p.x.AddRead(ev, before-s.N)
		p.x.Read = p.part == atEnd
	}
}

func (p *Single) write(ev *protocol.Event) {
	if !p.begun {
		p.counts.Unpaired++
		return
	}
	if p.part == inBody && !p.known {
		p.x.Read, p.part = true, atEnd
	}
	p.writes++
	w := protocol.CallOf(ev)
	p.x.Content(&w, p.writes, protocol.NewStretch(ev.Data, ev.Bytes))
	if p.x.Head.Status == http.StatusSwitchingProtocols && p.x.Known {
		p.x.R.Flags |= request.Upgraded
		p.finish("", 0)
		p.over, p.tunnel = true, true
	}
}

// close ends the response.
func (p *Single) close(ev *protocol.Event) {
	defer func() { p.over = true }()
	if !p.begun {
		return
	}
	if !p.x.Known {
		p.reject("truncated")
		return
	}
	p.finish(p.cause(ev), max(ev.Exit, ev.Enter))
}

// cause returns the reason why the response is not complete, or empty if it is.
func (p *Single) cause(ev *protocol.Event) string {
	complete, told := p.x.Complete()
	switch {
	case complete:
		return ""
	case p.x.Head.Done && !told && ev.Error != request.ErrorReset && ev.Error != request.ErrorTimeout:
		return ""
	case ev.Error == "":
		return request.ErrorClosed
	}
	return ev.Error
}
