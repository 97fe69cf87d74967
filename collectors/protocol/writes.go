package protocol

import (
	"time"

	"lapwing/collectors/request"
)

// StreamPause is the total pause of a response, with room in the send buffer, from
// which it counts as streamed. A shorter pause occurs when a server writes head and
// body with two calls.
const StreamPause = time.Millisecond

// WriteCall is one call that writes, or several that are known only together.
type WriteCall struct {
	Enter, Exit request.Stamp
	Marker      request.Stamp // the application was called before it; zero after a response took it
	Blocked     time.Duration // in the call and the gap before it
	Produce     time.Duration // between the calls, if there are several
	TID         uint32
}

// CallOf returns the WriteCall of a write event.
func CallOf(ev *Event) WriteCall {
	return WriteCall{Enter: ev.Enter, Exit: ev.Exit, Marker: ev.Marker, Blocked: ev.Blocked, TID: ev.TID}
}

// Writes is what is known from the writes of one response.
type Writes struct {
	Number  uint64        // number of the last write that was added; 0 if there is none
	First   request.Stamp // entry of the first write
	Enter   request.Stamp // entry of the last
	Exit    request.Stamp // return of the last
	Marker  request.Stamp // the application was called before the first
	Blocked time.Duration
	Produce time.Duration
	Bytes   uint64
	TID     uint32 // the thread that made the first write
}

// Add adds n bytes of the response, which the write with this number sent. A write
// counts once, even if several pieces of it are added.
func (t *Writes) Add(w *WriteCall, number, n uint64) {
	t.Bytes += n
	if t.Number == number {
		return
	}
	within := Between(w.Enter, w.Exit)
	if t.Number == 0 {
		t.First, t.TID, t.Marker = w.Enter, w.TID, w.Marker
		w.Marker = 0
		// If the buffer was full before the first write, this does not concern this
		// response.
		t.Blocked, t.Produce = min(w.Blocked, within), w.Produce
	} else {
		gap := Between(t.Exit, w.Enter)
		blocked := min(w.Blocked, gap+within)
		t.Blocked += blocked
		// A call that blocks does so inside the call. Only the blocked time beyond
		// the call was spent between the calls, by a server that waits for room
		// itself.
		t.Produce += gap - max(0, blocked-within)
	}
	t.Number, t.Enter = number, w.Enter
	t.Exit = max(t.Exit, w.Exit)
}

// Respond sets the response of r to these writes.
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
