package record

import (
	"encoding/hex"
	"strconv"
	"time"

	"lapwing/collectors/request"
	"lapwing/collectors/text"
)

// Append appends the record of r as one JSON object without a newline. Facts
// that were not measured are left out. The clock provides the wall time of
// `start`.
func Append(b []byte, r *request.Request, clock *request.Clock) []byte {
	o := object{b: append(b, '{')}
	o.identity(r, clock)
	o.durations(r)
	o.uint("request_bytes", r.RequestBytes)
	if r.WriteFirst.Seen() {
		o.uint("response_bytes", r.ResponseBytes)
	}
	o.place(r)
	o.str("boundary", r.Boundary.String())
	o.flags(r.Flags)
	o.text("error", r.Error)
	o.calls(r.Calls, clock)
	return append(o.b, '}')
}

// calls writes the calls as separate objects.
func (o *object) calls(calls []*request.Call, clock *request.Clock) {
	if len(calls) == 0 {
		return
	}
	o.key("calls")
	for i, c := range calls {
		sub := object{b: append(o.b, "[,"[min(i, 1)], '{')}
		sub.call(c, clock)
		o.b = append(sub.b, '}')
	}
	o.b = append(o.b, ']')
}

func (o *object) call(c *request.Call, clock *request.Clock) {
	o.hex("span_id", c.SpanID[:])
	o.time("start", c.Start, clock)
	if d, ok := c.Duration(); ok {
		o.dur("duration_ns", d)
	}
	o.text("end", c.Ending.String())
	if c.Connected > c.Start {
		o.dur("connect_ns", time.Duration(c.Connected-c.Start))
	}
	o.endpoint("peer", c.Peer)
	o.text("protocol", c.Protocol)
	o.text("method", c.Method)
	if len(c.Path) > 0 {
		o.key("path")
		o.b = text.AppendJSON(o.b, c.Path)
	}
	if c.Status != 0 {
		o.uint("status", uint64(c.Status))
	}
	o.uint("request_bytes", c.RequestBytes)
	o.uint("response_bytes", c.ResponseBytes)
	o.text("error", c.Error)
}

func (o *object) time(name string, at request.Stamp, clock *request.Clock) {
	o.key(name)
	o.b = append(o.b, '"')
	o.b = clock.Time(at).UTC().AppendFormat(o.b, "2006-01-02T15:04:05.000000000Z07:00")
	o.b = append(o.b, '"')
}

// object writes the members of one JSON object.
type object struct {
	b    []byte
	more bool
}

func (o *object) identity(r *request.Request, clock *request.Clock) {
	if r.TraceID != [16]byte{} {
		o.hex("trace_id", r.TraceID[:])
		o.hex("span_id", r.SpanID[:])
	}
	if r.ParentSpanID != [8]byte{} {
		o.hex("parent_span_id", r.ParentSpanID[:])
	}
	if r.Arrived.Seen() {
		o.time("start", r.Arrived, clock)
	}
	o.text("service", r.Service)
	o.text("protocol", r.Protocol)
	o.text("method", r.Method)
	if len(r.Path) > 0 {
		o.key("path")
		o.b = text.AppendJSON(o.b, r.Path)
	}
	if r.Status != 0 {
		o.uint("status", uint64(r.Status))
	}
}

func (o *object) durations(r *request.Request) {
	if d, ok := r.Duration(); ok {
		o.dur("duration_ns", d)
	}
	phases, _ := r.Phases()
	bounds := r.Bounds()
	for p := range request.NumPhases {
		if bounds.Known(p) {
			o.dur(phaseKeys[p], phases[p])
		}
	}
	for _, part := range r.Parts() {
		o.dur(partKeys[part.Part], part.Duration)
	}
}

var partKeys = [request.NumParts]string{"backlog_ns", "dispatch_ns", "client_wait_ns", "blocked_ns", "produce_ns", "drain_ns"}

var phaseKeys = [request.NumPhases]string{"queue_ns", "parse_ns", "app_ns", "write_back_ns"}

func (o *object) place(r *request.Request) {
	if r.PID != 0 {
		o.uint("pid", uint64(r.PID))
		o.uint("tid", uint64(r.TID))
	}
	o.text("comm", r.Comm)
	if r.AcceptorTID != 0 {
		o.uint("acceptor_tid", uint64(r.AcceptorTID))
	}
	o.endpoint("local", r.Local)
	o.endpoint("peer", r.Peer)
	o.endpoint("client", request.Endpoint{Addr: r.Client})
}

func (o *object) flags(f request.Flags) {
	if f == 0 {
		return
	}
	o.key("flags")
	o.b = append(o.b, '[')
	for i, name := range f.Names() {
		if i > 0 {
			o.b = append(o.b, ',')
		}
		o.b = append(append(append(o.b, '"'), name...), '"')
	}
	o.b = append(o.b, ']')
}

func (o *object) key(name string) {
	if o.more {
		o.b = append(o.b, ',')
	}
	o.more = true
	o.b = append(append(append(o.b, '"'), name...), '"', ':')
}

func (o *object) uint(name string, v uint64) {
	o.key(name)
	o.b = strconv.AppendUint(o.b, v, 10)
}

func (o *object) dur(name string, d time.Duration) {
	o.key(name)
	o.b = strconv.AppendInt(o.b, int64(d), 10)
}

func (o *object) str(name, v string) {
	o.key(name)
	o.b = text.AppendJSON(o.b, v)
}

func (o *object) text(name, v string) {
	if v != "" {
		o.str(name, v)
	}
}

func (o *object) hex(name string, v []byte) {
	o.key(name)
	o.b = append(o.b, '"')
	o.b = append(hex.AppendEncode(o.b, v), '"')
}

func (o *object) endpoint(name string, e request.Endpoint) {
	if !e.IsUn && !e.Addr.IsValid() {
		return
	}
	var scratch [128]byte
	o.key(name)
	o.b = text.AppendJSON(o.b, e.Append(scratch[:0]))
}
