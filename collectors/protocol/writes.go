package protocol

import (
	"time"

	"lapwing/collectors/request"
)

// StreamPause is how long a response must pause in all, with room in the send
// buffer, to be flagged as streamed. Shorter pauses are a server that writes
// head and body by two calls.
const StreamPause = time.Millisecond

// WriteCall is one call that writes, or several that are known as one.
type WriteCall struct {
	Enter, Exit request.Stamp
	Marker      request.Stamp // the application was called before it; zero once a response took it
	Blocked     time.Duration // in the call and the gap before it
	Produce     time.Duration // between the calls that it stands for
	TID         uint32
}

// CallOf is the call that an event tells of.
func CallOf(ev *Event) WriteCall {
	return WriteCall{Enter: ev.Enter, Exit: ev.Exit, Marker: ev.Marker, Blocked: ev.Blocked, TID: ev.TID}
}

// Writes is what the writes of one response say.
type Writes struct {
	Number  uint64        // of the last write taken in; 0: none yet
	First   request.Stamp // entry of the first write
	Enter   request.Stamp // entry of the last
	Exit    request.Stamp // return of the last
	Marker  request.Stamp // the application was called before the first
	Blocked time.Duration
	Produce time.Duration
	Bytes   uint64
	TID     uint32 // the thread that made the first
}

// Add takes in n bytes of the response that went with the write of that
// number. A write counts once, however many pieces of it are taken in.
func (t *Writes) Add(w *WriteCall, number, n uint64) {
	t.Bytes += n
	if t.Number == number {
		return
	}
	within := Between(w.Enter, w.Exit)
	if t.Number == 0 {
		t.First, t.TID, t.Marker = w.Enter, w.TID, w.Marker
		w.Marker = 0
		// What was full before the first write is not this response's matter.
		t.Blocked, t.Produce = min(w.Blocked, within), w.Produce
	} else {
		gap := Between(t.Exit, w.Enter)
		blocked := min(w.Blocked, gap+within)
		t.Blocked += blocked
		// A call that blocks does so inside; only what exceeds the call was
		// spent between the calls, by a server that waits for room itself.
		t.Produce += gap - max(0, blocked-within)
	}
	t.Number, t.Enter = number, w.Enter
	t.Exit = max(t.Exit, w.Exit)
}

// Respond makes them the response of a request.
func (t *Writes) Respond(r *request.Request) {
	r.WriteFirst, r.WriteLast, r.WriterTID = t.First, t.Exit, t.TID
	r.Blocked, r.Produce = t.Blocked, t.Produce
	r.ResponseBytes += t.Bytes
	if t.Marker.Seen() && t.Marker >= r.ReadFirst && t.Marker <= t.First {
		r.Boundary, r.Marker = request.BoundaryMarker, t.Marker
	}
	if t.Produce >= StreamPause {
		r.Flags |= request.Streamed
	}
}
