package http1

import (
	"time"

	"lapwing/collectors/request"
)

// EventKind tells what happened on a connection.
type EventKind uint8

// The kinds of events.
const (
	Read  EventKind = iota // a call that reads returned bytes
	Write                  // a call that writes took bytes
	Close                  // the connection ended
)

// Event is one read or write of a connection, or its end. Events of a
// connection come in the order in which the calls returned.
type Event struct {
	Kind EventKind

	Enter request.Stamp // the call was entered; needed for writes only
	Exit  request.Stamp // the call returned; for Close, the end

	Arrived     request.Stamp // first byte of what a read returned was in the queue
	ArrivedLast request.Stamp // last byte of it was

	Wait    time.Duration // since the previous read: the receive queue was empty
	Blocked time.Duration // in a write and the gap before it: the send buffer was full

	Bytes uint64 // bytes that the call moved
	Data  []byte // the first of them: all, some or none

	PID  uint32
	TID  uint32
	Comm string

	Error string // Close: request.ErrorClosed and the like, for a request that has no complete response
}

// reading is one read, or what a seed says of all reads of its request so far.
type reading struct {
	stretch

	arrived, arrivedLast request.Stamp
	first, last          request.Stamp // return of the first and of the last read
	wait                 time.Duration // zero once a request took it

	pid, tid uint32
	comm     string

	seed *request.Request // nil once a request took it, and for events
}

func readingOf(ev *Event) reading {
	return reading{
		stretch: newStretch(ev.Data, ev.Bytes),
		arrived: ev.Arrived, arrivedLast: ev.ArrivedLast,
		first: ev.Exit, last: ev.Exit, wait: ev.Wait,
		pid: ev.PID, tid: ev.TID, comm: ev.Comm,
	}
}

func readingOfSeed(r *request.Request, head []byte, n uint64) reading {
	return reading{
		stretch: newStretch(head, n),
		arrived: r.Arrived, arrivedLast: r.ArrivedLast,
		first: r.ReadFirst, last: r.ReadLast,
		pid: r.PID, tid: r.TID, comm: r.Comm, seed: r,
	}
}

// writing is one write, or what a seed says of all writes of its response.
type writing struct {
	stretch

	enter, exit request.Stamp
	blocked     time.Duration
	produce     time.Duration // seeds only: between the writes it stands for
	tid         uint32
}

func writingOf(ev *Event) writing {
	return writing{
		stretch: newStretch(ev.Data, ev.Bytes),
		enter:   ev.Enter, exit: ev.Exit, blocked: ev.Blocked, tid: ev.TID,
	}
}

func writingOfSeed(r *request.Request, head []byte, n uint64) writing {
	return writing{
		stretch: newStretch(head, n),
		enter:   r.WriteFirst, exit: r.WriteLast,
		blocked: r.Blocked, produce: r.Produce, tid: r.WriterTID,
	}
}

// between is the time from a to b, zero when either was not seen or b is the
// earlier: stamps of different CPUs may differ by a little.
func between(a, b request.Stamp) time.Duration {
	if !a.Seen() || b <= a {
		return 0
	}
	return time.Duration(b - a)
}
