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

// Options are the parameters of an Assembler.
type Options struct {
	Services *service.Resolver
	Filter   *service.Filter // nil reports all requests
	// Route returns the route of a path of a service, or "". If Route is nil, there
	// are no routes.
	Route func(service string, path []byte) string
	// Export takes each finished request. It is called from the goroutine that
	// drives the Assembler. The request is valid until Export returns.
	Export func(*request.Request)
	// Call takes each call that a server made. The same call can come again when
	// more of its response was seen. If Call is nil, calls are dropped.
	Call func(*request.Call)
	// Hide takes the requests that the filter leaves out and whose server makes
	// calls. If Hide is nil, they are dropped.
	Hide func(*request.Request)
}

// Assembler is a socket.Handler that turns records into requests. Only Counts and
// Outstanding are safe for concurrent use. All other methods must be called from
// one goroutine.
type Assembler struct {
	opts   Options
	counts counters
	comms  comms

	conns       connections
	outstanding outstanding
	nameless    nameless
	lastAge     time.Time

	// Reused for each record.
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

// final takes the last record of a request.
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

// reported reports whether there was a tentative record of the request before. The
// kernel marks the record only if the tentative one found room in the log. So the
// Assembler does not have to remember connections whose end it may never see.
func reported(r wire.Record) bool { return r.Reported != 0 && r.Reported == r.Seq }

// tentative takes a request whose response is complete and whose connection is
// quiet. The request is passed on now, because the connection may not be used again
// for minutes.
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

// export passes a finished request on, if the filter selects it. It makes no system
// call: if the identity of the server is not in memory, the request waits.
func (a *Assembler) export(r *request.Request) {
	if r.Error == "" && r.Status >= 500 {
		r.Error = statusError(r.Status)
	}
	if len(a.nameless.byPID) > 0 && a.queueUp(r) {
		return
	}
	id, known := a.opts.Services.Find(r.PID, r.Comm, uint64(r.ReadFirst))
	if !known || !a.decide(r, id) {
		a.await(r)
	}
}

// decide passes the request on or leaves it out, once its process has an identity.
// It returns false if the filter cannot decide yet.
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

// hide takes a request that the filter leaves out.
func (a *Assembler) hide(r *request.Request) {
	if r.Links.Calls && a.opts.Hide != nil {
		a.opts.Hide(r)
	}
}

// pass passes a request on.
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

// continueTrace makes the request part of the trace that the client started.
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

// wholeMembers shortens a tracestate to its limit, at the end of a member. A member
// that is cut would be a different member.
func wholeMembers(state []byte) []byte {
	if len(state) <= text.MaxTraceState {
		return state
	}
	return state[:max(0, bytes.LastIndexByte(state[:text.MaxTraceState+1], ','))]
}

// HandleEvent implements socket.Handler.
func (a *Assembler) HandleEvent(e wire.Event) { a.event(e) }

// Tick implements socket.Handler. It passes on what has waited long enough.
func (a *Assembler) Tick(now time.Time) {
	a.giveUpClosed(request.Now() - closingTime)
	a.nameAll(request.Now())
	if now.Sub(a.lastAge) < time.Second {
		return
	}
	a.lastAge = now
	a.expire(request.Now())
}

// Flush passes on the requests that wait only for the end of their connection, and
// counts the requests that are in flight when the agent ends. It is called after
// the last record.
func (a *Assembler) Flush() {
	a.end(request.Now())
	a.nameLast()
}
