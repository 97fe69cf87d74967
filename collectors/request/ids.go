package request

import (
	"encoding/binary"
	"math/rand/v2"
)

// AssignIDs gives r the trace and span identifiers it does not have yet, so
// that everything that shows r shows the same ones. An incoming trace context
// is kept. It is safe for concurrent use on different requests.
//
// The top-level generator of math/rand/v2 is a ChaCha8 that the runtime seeds
// from the kernel: unpredictable, without a system call or a lock per request.
func AssignIDs(r *Request) {
	for r.TraceID == [16]byte{} {
		binary.BigEndian.PutUint64(r.TraceID[:8], rand.Uint64())
		binary.BigEndian.PutUint64(r.TraceID[8:], rand.Uint64())
	}
	if r.SpanID == [8]byte{} {
		r.SpanID = NewSpanID()
	}
}

// NewSpanID returns a span identifier; all zeros is not one.
func NewSpanID() (id [8]byte) {
	for id == [8]byte{} {
		binary.BigEndian.PutUint64(id[:], rand.Uint64())
	}
	return id
}
