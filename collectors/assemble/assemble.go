package assemble

import (
	"time"

	"lapwing/collectors/protocol"
	"lapwing/collectors/protocol/http1"
	"lapwing/collectors/request"
	"lapwing/collectors/service"
	"lapwing/probes/socket"
)

// The limits of what an Assembler remembers of connections.
const (
	maxTold    = 1 << 16 // requests handed out before their final record came
	maxHeld    = 1 << 10 // responses whose end was not seen yet
	maxPairers = 1 << 12 // connections that are framed here
)

// Options say what an Assembler works with.
type Options struct {
	Services *service.Resolver
	Filter   *service.Filter // nil reports all
	// Export takes each finished request. It is called from the goroutine that
	// drives the Assembler; the request is valid until it returns.
	Export func(*request.Request)
	// Call takes each call that a server made itself. A call can come again
	// with more of its response. Nil drops them.
	Call func(*request.Call)
	// Hide takes the requests that the filter leaves out, where others can
	// have come of them. Nil drops them.
	Hide func(*request.Request)
}

// Assembler is a socket.Handler that makes requests of records. All methods
// but Counts are for one goroutine.
type Assembler struct {
	opts   Options
	counts counters
	comms  comms

	// told holds, per connection, the number of a request that was handed out
	// on a tentative record: its final record is to be dropped.
	told    map[uint64]uint32
	closing closings
	held    map[uint64]*heldResponse
	pairers map[uint64]*pairing
	lastAge time.Time

	// Reused from record to record.
	req     request.Request
	message http1.Message
	reqHead http1.RequestHead
	resHead http1.ResponseHead
}

var _ socket.Handler = (*Assembler)(nil)

// New returns an Assembler.
func New(opts Options) *Assembler {
	return &Assembler{
		opts:    opts,
		comms:   make(comms),
		told:    make(map[uint64]uint32),
		closing: newClosings(),
		held:    make(map[uint64]*heldResponse),
		pairers: make(map[uint64]*pairing),
	}
}

// HandleRecord implements socket.Handler.
func (a *Assembler) HandleRecord(kind socket.Kind, r socket.Record) {
	switch kind {
	case socket.Final:
		a.final(r)
	case socket.Tentative:
		a.tentative(r)
	case socket.Opened:
		a.open(r)
	case socket.Unknown:
		a.counts.unknownAdd(reasonOf(r))
	case socket.Call:
		a.call(r)
	}
}

// final takes a request of which nothing more will come.
func (a *Assembler) final(r socket.Record) {
	if a.wasTold(r) {
		return
	}
	a.closing.over(r)
	a.ended(r)
}

func (a *Assembler) ended(r socket.Record) {
	a.release(r.Conn)
	complete, ok := a.fill(r)
	if !ok {
		return
	}
	if complete == http1.No && r.Closed == 0 && len(a.held) < maxHeld {
		a.hold(r)
		return
	}
	a.setError(r, complete)
	a.export(&a.req)
}

// wasTold reports whether the request was handed out on a tentative record.
func (a *Assembler) wasTold(r socket.Record) bool {
	if len(a.told) == 0 {
		return false
	}
	seq, ok := a.told[r.Conn]
	if !ok {
		return false
	}
	delete(a.told, r.Conn)
	return seq == r.Seq
}

// tentative takes a request whose connection has gone quiet. Unless its
// response is known to go on, it is handed out now and not when the connection
// is used again, which may be in minutes.
func (a *Assembler) tentative(r socket.Record) {
	if seq, ok := a.told[r.Conn]; (ok && seq == r.Seq) || len(a.told) >= maxTold {
		return
	}
	if r.Closed != 0 {
		a.closing.add(r)
		return
	}
	complete, ok := a.fill(r)
	if !ok || complete == http1.No {
		return
	}
	a.told[r.Conn] = r.Seq
	a.setError(r, complete)
	a.export(&a.req)
}

// export passes a finished request on, if the filter wants it.
func (a *Assembler) export(r *request.Request) {
	if r.Error == "" && r.Status >= 500 {
		r.Error = statusError(r.Status)
	}
	id := a.opts.Services.Lookup(r.PID, r.Comm)
	r.Service = id.Name
	if f := a.opts.Filter; f != nil && !f.Match(r.PID, r.Local.Addr.Port(), id) {
		if r.Links.Calls && a.opts.Hide != nil {
			a.opts.Hide(r)
		}
		return
	}
	a.counts.requests.Add(1)
	if !r.WriteLast.Seen() || (r.Error != "" && r.Status < 500) {
		a.counts.incomplete.Add(1)
	}
	if r.Flags&request.Upgraded != 0 {
		a.counts.tunnels.Add(1)
	}
	if d, ok := r.Detail.(protocol.Traced); ok {
		continueTrace(r, d)
	}
	a.opts.Export(r)
}

// continueTrace makes the request part of the trace that the client began.
func continueTrace(r *request.Request, d protocol.Traced) {
	traceParent, traceState := d.TraceContext()
	if len(traceParent) == 0 {
		return
	}
	trace, parent, sampled, ok := protocol.ParseTraceParent(traceParent)
	if !ok {
		return
	}
	r.TraceID, r.ParentSpanID, r.Sampled = trace, parent, sampled
	r.TraceState = traceState
}

// HandleEvent implements socket.Handler.
func (a *Assembler) HandleEvent(e socket.Event) { a.event(e) }

// Tick implements socket.Handler: it lets go of what will not be decided.
func (a *Assembler) Tick(now time.Time) {
	a.giveUpClosing(request.Now() - closingTime)
	if now.Sub(a.lastAge) < time.Second {
		return
	}
	a.lastAge = now
	a.expire(request.Now())
}

// Flush hands out what is still held. It is called after the last record.
func (a *Assembler) Flush() {
	a.giveUpClosing(request.Now())
	for conn := range a.held {
		a.release(conn)
	}
	a.expirePairers(request.Now(), 0)
}
