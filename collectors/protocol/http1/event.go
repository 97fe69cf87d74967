package http1

import (
	"time"

	"lapwing/collectors/protocol"
	"lapwing/collectors/request"
)

// reading is one read, or the summary of all reads of a seeded request so far.
type reading struct {
	protocol.Stretch

	arrived, arrivedLast request.Stamp
	first, last          request.Stamp // return of the first and of the last read
	wait                 time.Duration // zero after a request took it

	pid, tid uint32
	comm     string

	seed *request.Request // nil after a request took it, and for events
}

func readingOf(ev *protocol.Event) reading {
	rd := reading{
		Stretch: protocol.NewStretch(ev.Data, ev.Bytes),
		arrived: ev.Arrived, arrivedLast: ev.ArrivedLast,
		first: ev.Exit, last: ev.Exit, wait: ev.Wait,
		pid: ev.PID, tid: ev.TID, comm: ev.Comm,
	}
	if ev.First.Seen() {
		rd.first = ev.First
	}
	return rd
}

func readingOfSeed(r *request.Request, head []byte, n uint64) reading {
	return reading{
		Stretch: protocol.NewStretch(head, n),
		arrived: r.Arrived, arrivedLast: r.ArrivedLast,
		first: r.ReadFirst, last: r.ReadLast,
		pid: r.PID, tid: r.TID, comm: r.Comm, seed: r,
	}
}

// writing is one write, or the summary of all writes of a seeded response so far.
type writing struct {
	protocol.Stretch
	protocol.WriteCall
}

func writingOf(ev *protocol.Event) writing {
	return writing{protocol.NewStretch(ev.Data, ev.Bytes), protocol.CallOf(ev)}
}

func writingOfSeed(r *request.Request, head []byte, n uint64) writing {
	return writing{protocol.NewStretch(head, n), protocol.WriteCall{
		Enter: r.WriteFirst, Exit: r.WriteLast,
		Blocked: r.Blocked, Produce: r.Produce, TID: r.WriterTID,
	}}
}
