package http1

import (
	"slices"
	"time"

	"lapwing/collectors/protocol"
	"lapwing/collectors/request"
	"lapwing/collectors/text"
)

// exchange is a request and its response while either is under way.
type exchange struct {
	r      request.Request
	m      Message
	kept   []byte // holds what r and m view into
	seeded bool   // the kernel vouches for it, even if its head is not at hand
	token  bool   // of its request line there is a method that is not in capitals, and no end
}

// known reports whether this is a request for sure: a few bytes without so
// much as a method are not, nor is a word that can be of anything.
func (x *exchange) known() bool {
	return x.r.Status != 0 || !x.token && (x.seeded || x.r.Method != "")
}

// begun is the first moment at which something was seen of the request.
func (x *exchange) begun() request.Stamp {
	if x.r.Arrived.Seen() {
		return x.r.Arrived
	}
	return x.r.ReadFirst
}

// markPipelined sets the flag if the request was there before the last write
// of the previous response was entered.
func (x *exchange) markPipelined(enter request.Stamp) {
	if at := x.begun(); at.Seen() && at < enter {
		x.r.Flags |= request.Pipelined
	}
}

// start takes in the read that returned the request's first byte.
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

// endRead takes in the read that returned the request's last byte.
func (x *exchange) endRead(rd *reading) {
	x.r.ArrivedLast, x.r.ReadLast = rd.arrivedLast, rd.last
}

// respond takes in the writes of the response.
func (x *exchange) respond(t *timing) {
	t.Respond(&x.r)
	if t.early {
		x.r.Flags |= request.EarlyResponse
	}
}

// settle makes the parts fit the phases they are parts of.
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

// describe copies what the head tells into the exchange. The copies of all
// exchanges together keep to a budget of which room bytes are left; cut
// reports that something did not fit.
func (x *exchange) describe(h *RequestHead, room int) (cut bool) {
	Describe(&x.r, h, nil, &x.m)
	x.token = h.LineCut && !h.Capitals
	// By worth: what comes last is the first to go.
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
			*v = text.Cut(*v, left) // a path is worth having in part
		}
		at := len(x.kept)
		x.kept = append(x.kept, *v...)
		*v = x.kept[at:len(x.kept):len(x.kept)]
	}
	return cut
}

// timing is what the writes of one response say.
type timing struct {
	protocol.Writes

	early bool // the request was not wholly read at the first write
}
