package assemble

import (
	"bytes"
	"time"

	"lapwing/collectors/protocol"
	"lapwing/collectors/protocol/detect"
	"lapwing/collectors/request"
	"lapwing/collectors/service"
	"lapwing/collectors/text"
	"lapwing/probes/socket"
	"lapwing/probes/socket/wire"
)

// Options say what an Assembler works with.
type Options struct {
	Services *service.Resolver
	Filter   *service.Filter // nil reports all
	// Route is the route of a path of a service, or "". Nil knows none.
	Route func(service string, path []byte) string
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

	conns       connections
	outstanding outstanding
	nameless    nameless
	lastAge     time.Time

	// Reused from record to record.
	req     request.Request
	framed  protocol.Framed
	decoder protocol.Decoder
}

var _ socket.Handler = (*Assembler)(nil)

// New returns an Assembler.
func New(opts Options) *Assembler {
	return &Assembler{
		opts:        opts,
		decoder:     detect.Decoder(),
		comms:       make(comms),
		conns:       connections{byID: make(map[uint64]*connection)},
		outstanding: outstanding{byConn: make(map[uint64]int)},
		nameless:    nameless{byPID: make(map[uint32]*queue)},
	}
}

// HandleRecord implements socket.Handler.
func (a *Assembler) HandleRecord(kind wire.Kind, r wire.Record) {
	switch kind {
	case wire.Final:
		a.final(r)
	case wire.Tentative:
		a.tentative(r)
	case wire.Opened:
		a.open(r)
	case wire.Unknown:
		a.counts.unknownAdd(reasonOf(r))
	case wire.Call:
		a.call(r)
	case wire.Abandoned:
		a.abandoned(r)
	case wire.UnderWay:
		a.underWay(r)
	}
}

// final takes a request of which nothing more will come.
func (a *Assembler) final(r wire.Record) {
	if a.over(r) || !reported(r) {
		a.ended(r)
	}
}

func (a *Assembler) ended(r wire.Record) {
	if c := a.conns.at(r.Conn, open); c != nil {
		a.release(c)
	}
	if !a.fill(r) {
		return
	}
	if r.ResponseEnd() == wire.EndOpen && r.Closed == 0 {
		a.hold(r)
		return
	}
	a.setError(r)
	a.export(&a.req)
}

// told reports whether there was a tentative record of the request before. The
// kernel side says so, and only where that record found room: so nothing has to
// be remembered here, for connections whose end may never be seen.
func reported(r wire.Record) bool { return r.Reported != 0 && r.Reported == r.Seq }

// tentative takes a request whose response is complete and whose connection has
// gone quiet. It is handed out now and not when the connection is used again,
// which may be in minutes.
func (a *Assembler) tentative(r wire.Record) {
	switch {
	case reported(r):
	case r.Closed == 0:
		if a.fill(r) {
			a.setError(r)
			a.export(&a.req)
		}
	case !a.close(r):
		a.ended(r)
	}
}

// export passes a finished request on, if the filter wants it. It makes no system
// call: who serves has to be in memory, or the request waits.
func (a *Assembler) export(r *request.Request) {
	if r.Error == "" && r.Status >= 500 {
		r.Error = statusError(r.Status)
	}
	if len(a.nameless.byPID) > 0 && a.behind(r) {
		return
	}
	id, known := a.opts.Services.Find(r.PID, r.Comm, uint64(r.ReadFirst))
	if !known || !a.decide(r, id) {
		a.await(r)
	}
}

// decide passes on or leaves out a request of a process with an identity. False
// says that the filter cannot tell yet.
func (a *Assembler) decide(r *request.Request, id *service.Identity) bool {
	if f := a.opts.Filter; f != nil {
		selected, sure := f.Decide(r.PID, r.Local.Addr.Port(), id)
		if !sure {
			return false
		}
		if !selected {
			r.Service = id.Name
			a.hide(r)
			return true
		}
	}
	a.pass(r, id)
	return true
}

// hide takes a request that is not passed on.
func (a *Assembler) hide(r *request.Request) {
	if r.Links.Calls && a.opts.Hide != nil {
		a.opts.Hide(r)
	}
}

// pass hands out a request.
func (a *Assembler) pass(r *request.Request, id *service.Identity) {
	r.Service = a.opts.Services.PoolName(id, r.Local.Addr.Port(), r.Local.Unix)
	a.counts.requests.Add(1)
	if !r.WriteLast.Seen() || (r.Error != "" && r.Status < 500) {
		a.counts.incomplete.Add(1)
	}
	if r.Flags&request.HeadCut != 0 {
		a.counts.headsCut.Add(1)
	}
	if r.Flags&request.Upgraded != 0 {
		a.counts.tunnels.Add(1)
	}
	if d, ok := r.Detail.(protocol.Traced); ok {
		continueTrace(r, d)
	}
	if a.opts.Route != nil {
		r.Route = a.opts.Route(r.Service, r.Path)
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
	r.TraceState = wholeMembers(traceState)
}

// wholeMembers keeps of a tracestate what there is room for. A member that is
// cut would be another one.
func wholeMembers(state []byte) []byte {
	if len(state) <= text.MaxTraceState {
		return state
	}
	return state[:max(0, bytes.LastIndexByte(state[:text.MaxTraceState+1], ','))]
}

// HandleEvent implements socket.Handler.
func (a *Assembler) HandleEvent(e wire.Event) { a.event(e) }

// Tick implements socket.Handler: it lets go of what will not be decided.
func (a *Assembler) Tick(now time.Time) {
	a.giveUpClosed(request.Now() - closingTime)
	a.nameAll(request.Now())
	if now.Sub(a.lastAge) < time.Second {
		return
	}
	a.lastAge = now
	a.expire(request.Now())
}

// Flush hands out what waits for nothing but the end of its connection, and
// counts the requests that are in flight: the agent ends before they do. It is
// called after the last record.
func (a *Assembler) Flush() {
	a.end(request.Now())
	a.nameLast()
}
