package protocol

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

	Enter  request.Stamp // the call was entered; needed for writes only
	Exit   request.Stamp // the call returned; for Close, the end
	First  request.Stamp // where several reads are one event: the first returned; else zero
	Marker request.Stamp // writes only: the thread called the application, once since its last answer

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

// Between is the time from a to b, zero when either was not seen or b is the
// earlier: stamps of different CPUs may differ by a little.
func Between(a, b request.Stamp) time.Duration {
	if !a.Seen() || b <= a {
		return 0
	}
	return time.Duration(b - a)
}
