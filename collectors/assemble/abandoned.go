package assemble

import (
	"lapwing/collectors/request"
	"lapwing/probes/socket"
	"lapwing/probes/socket/wire"
)

// maxListeners is the number of listeners whose abandoned connections are counted
// separately. All others share one name.
const maxListeners = 256

const otherListeners = "other"

// abandoned takes a connection that ended before the server read what had arrived.
// If request bytes had arrived, a client asked in vain, which is an error of the
// service. What the client asked is not known.
func (a *Assembler) abandoned(r wire.Record) {
	a.base(r)
	a.progress(r)
	a.counts.abandonedAdd(a.req.Local.String(), abandonReason(r))
	if r.RequestBytes == 0 {
		return
	}
	a.req.Seq = r.Seq
	a.req.Error = request.ErrorAbandoned
	if a.req.PID == 0 {
		a.req.PID = a.req.AcceptorTID // the id of a thread leads to its process, too
	}
	a.export(&a.req)
}

func abandonReason(r wire.Record) string {
	switch wire.Reason(r.Error) {
	case wire.AbandonedBacklog:
		return "not_accepted"
	case wire.AbandonedReset:
		return "client_reset"
	}
	return "not_read"
}

// HandleProcess implements socket.ProcessHandler. It keeps the names of processes
// up to date.
func (a *Assembler) HandleProcess(n wire.ProcessNote) {
	switch n.Did {
	case wire.Listens:
		a.opts.Services.Ask(n.PID, "")
	case wire.Serves:
		a.opts.Services.Serves(n.PID, n.Born, n.At)
	case wire.Executed:
		a.opts.Services.Executed(n.PID, n.At)
	}
}

var _ socket.ProcessHandler = (*Assembler)(nil)
