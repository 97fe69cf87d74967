package main

import (
	"time"

	"lapwing/cmd/refserver/truth"
)

// account is one request as clients and servers recorded it.
type account struct {
	truth.Line
	// sent is when the client was about to write the request: the kernel cannot
	// have received it earlier.
	sent int64
}

// window is one duration of a request, in nanoseconds.
type window struct {
	name  string
	agent *int64 // nil if the agent left it out
	truth int64
}

const boundaryMarker = "marker"

// windows pairs the agent's phases and the parts of queue with the truth.
func windows(r record, a account) []window {
	parsed := a.ReadNS
	if r.Boundary == boundaryMarker {
		parsed = a.AppEnterNS
	}
	// A worker can be in accept and read again before the stamp of the client.
	queue := max(a.ReadFirstNS-a.sent, 0)
	backlog := int64(0)
	if a.Seq == 1 {
		backlog = min(max(a.AcceptNS-a.sent, 0), queue)
	}
	list := []window{
		{"queue", r.Queue, queue},
		{"parse", r.Parse, parsed - a.ReadFirstNS},
		{"app", r.App, a.WriteEnterNS - parsed},
		{"write_back", r.WriteBack, a.WriteLeaveNS - a.WriteEnterNS},
		{"dispatch", r.Dispatch, queue - backlog},
	}
	if a.Seq == 1 {
		list = append(list, window{"backlog", r.Backlog, backlog})
	}
	return list
}

// hidden returns how long the request waited in the server between its last
// read and the call of the application. Without a marker, this time counts as
// app.
func hidden(a account) time.Duration { return time.Duration(a.AppEnterNS - a.ReadNS) }

// tolerance is by how much clocks may differ: those of the CPUs, and that of
// the client's stamps, which the kernel takes from the wall clock.
const tolerance = 5_000 // ns

// contradicted reports whether the agent's figures are impossible. A server
// takes its stamps before it enters a call and after the call has returned. So
// on a busy machine the server's windows around calls become longer, and those
// between calls shorter, never the other way round.
func contradicted(r record, a account) bool {
	longer := func(agent *int64, limit int64) bool { return agent != nil && *agent > limit+tolerance }
	shorter := func(agent *int64, limit int64) bool { return agent != nil && *agent < limit-tolerance }
	if longer(r.Queue, max(a.ReadFirstNS-a.sent, 0)) || longer(r.WriteBack, a.WriteLeaveNS-a.WriteEnterNS) {
		return true
	}
	if r.Boundary == boundaryMarker {
		return shorter(r.Parse, a.AppEnterNS-a.ReadFirstNS)
	}
	return shorter(r.App, a.WriteEnterNS-a.ReadNS)
}

// misattributed reports whether the agent names another process or thread than
// the one that served the request.
func misattributed(arch architecture, r record, a account) bool {
	if r.PID != a.PID || r.AcceptorTID != a.AcceptorTID {
		return true
	}
	if arch.readerTID && r.TID == a.AcceptorTID {
		return false // the reading thread is the right one
	}
	return r.TID != a.TID
}
