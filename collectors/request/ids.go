package request

import (
	"encoding/binary"
	"math/rand/v2"
)

// AssignIDs sets the trace and span identifiers that r does not have yet, so that
// all outputs show the same ones. An incoming trace context is kept. AssignIDs is
// safe for concurrent use on different requests.
//
// The top-level generator of math/rand/v2 is a ChaCha8 generator that the runtime
// seeds from the kernel. It is unpredictable and needs neither a system call nor a
// lock per request.
func AssignIDs(r *Request) {
	for r.TraceID == [16]byte{} {
		binary.BigEndian.PutUint64(r.TraceID[:8], rand.Uint64())
		binary.BigEndian.PutUint64(r.TraceID[8:], rand.Uint64())
	}
	if r.SpanID == [8]byte{} {
		r.SpanID = NewSpanID()
	}
}

// NewSpanID returns a random span identifier. It is never all zeros, because that
// is not a valid identifier.
func NewSpanID() (id [8]byte) {
	for id == [8]byte{} {
		binary.BigEndian.PutUint64(id[:], rand.Uint64())
	}
	return id
}
