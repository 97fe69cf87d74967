package assemble

import (
	"lapwing/collectors/request"
	"lapwing/probes/socket/wire"
)

// underWay takes a request that was in progress when the probes were detached.
func (a *Assembler) underWay(r wire.Record) {
	if reported(r) {
		return // already passed on: only its connection was open
	}
	a.base(r)
	a.progress(r)
	a.inFlight(&a.req, 1)
}

// inFlight counts requests that had not ended when the agent ended, if the filter
// selects them.
func (a *Assembler) inFlight(r *request.Request, n int) {
	if n == 0 {
		return
	}
	id := a.opts.Services.LookupAt(r.PID, r.Comm, uint64(r.ReadFirst))
	if f := a.opts.Filter; f == nil || f.Match(r.PID, r.Local.Addr.Port(), id) {
		a.counts.inFlight.Add(uint64(n))
	}
}
