package protocol

import (
	"time"

	"lapwing/collectors/request"
)

// EventKind says what happened on a connection.
type EventKind uint8

// The kinds of events.
const (
	Read  EventKind = iota // a call that reads returned bytes
	Write                  // a call that writes took bytes
	Close                  // the connection ended
)

// Event is one read or write of a connection, or its end. The events of a
// connection come in the order in which the calls returned.
type Event struct {
	Kind EventKind

	Enter  request.Stamp // the call was entered; needed for writes only
	Exit   request.Stamp // the call returned; for Close, the end
	First  request.Stamp // if several reads are one event, the return of the first; else zero
	Marker request.Stamp // writes only: the thread called the application exactly once since its last answer

	Arrived     request.Stamp // the first byte that the read returned arrived in the queue
	ArrivedLast request.Stamp // the last byte that the read returned arrived in the queue

	Wait    time.Duration // time since the previous read in which the receive queue was empty
	Blocked time.Duration // time in a write and the gap before it in which the send buffer was full

	Bytes uint64 // bytes that the call moved
	Data  []byte // the first of these bytes: all, some or none

	PID  uint32
	TID  uint32
	Comm string

	Error string // Close: request.ErrorClosed and the like, for requests without a complete response
}

// Between returns the time from a to b. It is zero if either was not seen, or if b
// is earlier: stamps of different CPUs can differ slightly.
func Between(a, b request.Stamp) time.Duration {
	if !a.Seen() || b <= a {
		return 0
	}
	return time.Duration(b - a)
}
