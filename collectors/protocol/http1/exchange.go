package http1

import (
	"slices"
	"time"

	"lapwing/collectors/protocol"
	"lapwing/collectors/request"
	"lapwing/collectors/text"
)

// exchange is a request with its response, until both are complete.
type exchange struct {
	r      request.Request
	m      Message
	kept   []byte // holds the bytes that r and m refer to
	seeded bool   // the kernel reported it as a request, even if its head is not at hand
	token  bool   // its request line is incomplete, and the method is not in capitals
}

// known reports whether this is certainly a request. A few bytes without a complete
// method are not, and neither is a word that could be of any protocol.
func (x *exchange) known() bool {
	return x.r.Status != 0 || !x.token && (x.seeded || x.r.Method != "")
}

// begun returns the first moment of the request that was seen.
func (x *exchange) begun() request.Stamp {
	if x.r.Arrived.Seen() {
		return x.r.Arrived
	}
	return x.r.ReadFirst
}

// markPipelined sets the flag if the request came before the last write of the
// previous response was entered.
func (x *exchange) markPipelined(enter request.Stamp) {
	if at := x.begun(); at.Seen() && at < enter {
		x.r.Flags |= request.Pipelined
	}
}

// start takes the read that returned the request's first byte.
func (x *exchange) start(rd *reading) {
	r := &x.r
	r.Arrived, r.ReadFirst = rd.arrived, rd.first
	r.PID, r.TID, r.Comm = rd.pid, rd.tid, rd.comm
	if s := rd.seed; s != nil {
		x.seeded = true
		r.ClientWait, r.Flags = s.ClientWait, s.Flags
		r.Boundary, r.Marker = s.Boundary, s.Marker
	}
}

// endRead takes the read that returned the request's last byte.
func (x *exchange) endRead(rd *reading) {
	x.r.ArrivedLast, x.r.ReadLast = rd.arrivedLast, rd.last
}

// respond takes the writes of the response.
func (x *exchange) respond(t *timing) {
	t.Respond(&x.r)
	if t.early {
		x.r.Flags |= request.EarlyResponse
	}
}

// settle adjusts the parts so that they fit into their phases.
func (x *exchange) settle() {
	bounds := x.r.Bounds()
	if bounds.Known(request.Parse) {
		parse := time.Duration(bounds[request.App] - bounds[request.Parse])
		x.r.ClientWait = min(x.r.ClientWait, parse)
	}
	if x.r.Method == "" && x.r.Status != 0 {
		x.r.Flags |= request.Orphan
	}
}

// describe copies the facts of the head into the exchange. room is what remains of
// the byte limit for all exchanges of the connection. cut reports whether something
// did not fit.
func (x *exchange) describe(h *RequestHead, room int) (cut bool) {
	Describe(&x.r, h, nil, &x.m)
	x.token = h.LineCut && !h.Capitals
	// Sorted by value: the last ones are dropped first.
	views := [...]*[]byte{
		&x.r.Path, &x.m.RawMethod, &x.r.Host, &x.m.TraceParent,
		&x.m.TraceState, &x.m.Query, &x.m.UserAgent,
	}
	size := 0
	for _, v := range views {
		size += len(*v)
	}
	x.kept = slices.Grow(x.kept[:0], min(size, room))
	for i, v := range views {
		if *v == nil {
			continue
		}
		if left := room - len(x.kept); len(*v) > left {
			cut = true
			if i > 0 {
				*v = nil
				continue
			}
			*v = text.Cut(*v, left) // even a part of a path is useful
		}
		at := len(x.kept)
		x.kept = append(x.kept, *v...)
		*v = x.kept[at:len(x.kept):len(x.kept)]
	}
	return cut
}

// timing is what is known from the writes of one response.
type timing struct {
	protocol.Writes

	early bool // the request was not fully read at the first write
}
