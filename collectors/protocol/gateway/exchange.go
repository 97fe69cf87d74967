package gateway

import (
	"net/http"
	"time"

	"lapwing/collectors/protocol"
	"lapwing/collectors/request"
)

// Exchange is one request with its response, until both are complete.
type Exchange struct {
	R    request.Request
	Vars Vars
	Head Head

	// Known says that the variables are complete and are those of a request.
	Known bool
	// Read says that the last byte of the request was read.
	Read bool
	// Enough says that everything was read that the application can need.
	Enough bool

	message Message
	writes  protocol.Writes
	body    uint64 // bytes of the response after its head

	// The last read while a response was being written. That response may turn out
	// to be an interim one.
	during struct{ arrived, exit request.Stamp }
}

// Begin starts an exchange with the read that returned its first byte.
func (x *Exchange) Begin(shared request.Request, seq uint32, ev *protocol.Event) {
	*x = Exchange{R: shared, Vars: x.Vars, Head: x.Head}
	x.Vars.Reset()
	x.Head.Reset()
	r := &x.R
	r.Seq, r.Detail = seq, &x.message
	r.Arrived, r.ReadFirst = ev.Arrived, ev.Exit
	if ev.First.Seen() {
		r.ReadFirst = ev.First
	}
	r.PID, r.TID, r.Comm = ev.PID, ev.TID, ev.Comm
}

// AddRead adds n bytes of a read. The wait before the read counts once, with the
// first bytes that are added.
func (x *Exchange) AddRead(ev *protocol.Event, n uint64) {
	x.R.RequestBytes += n
	if x.Read {
		return
	}
	if x.Responding() {
		x.during.arrived, x.during.exit = ev.ArrivedLast, ev.Exit
		return
	}
	if ev.Exit != x.R.ReadLast && x.R.ReadLast.Seen() {
		x.R.ClientWait += ev.Wait
	}
	x.R.ArrivedLast, x.R.ReadLast = ev.ArrivedLast, ev.Exit
}

// Describe takes the facts from the complete variables. It reports whether they are
// those of a request.
func (x *Exchange) Describe() bool {
	x.Vars.describe(&x.R, &x.message)
	x.Known = x.R.Method != ""
	return x.Known
}

// Responding reports whether the response has started.
func (x *Exchange) Responding() bool { return x.writes.Number != 0 }

// AddWrite adds n bytes of the response, which the write with this number sent.
func (x *Exchange) AddWrite(w *protocol.WriteCall, number, n uint64) {
	if !x.Responding() && !x.Read && !x.Enough {
		x.R.Flags |= request.EarlyResponse
	}
	x.writes.Add(w, number, n)
}

// Content adds content of the response, which the write with this number sent.
func (x *Exchange) Content(w *protocol.WriteCall, number uint64, s protocol.Stretch) {
	for s.N > 0 {
		before := s.N
		if x.Head.Done {
			x.body += s.Skip(s.N)
		} else {
			x.Head.Take(&s)
		}
		x.AddWrite(w, number, before-s.N)
		if x.Head.Done && x.Head.Interim {
			x.dropInterim()
		}
	}
}

// dropInterim notes that an interim response was written.
func (x *Exchange) dropInterim() {
	x.R.ResponseBytes += x.writes.Bytes
	if x.Head.Status == http.StatusContinue {
		x.R.Flags |= request.Continued
	}
	x.R.Flags &^= request.EarlyResponse
	if x.during.exit.Seen() {
		x.R.ArrivedLast, x.R.ReadLast = x.during.arrived, x.during.exit
	}
	x.writes = protocol.Writes{}
	x.Head.Reset()
}

// Complete reports whether the response is complete according to its head. told
// reports whether the head has a length at all.
func (x *Exchange) Complete() (complete, told bool) {
	if !x.Head.Done {
		return false, false
	}
	n, known := x.Head.bodyLength(x.R.Method)
	return known && x.body >= n, known
}

// Silent returns how long nothing was written of the response.
func (x *Exchange) Silent(now request.Stamp) time.Duration {
	return protocol.Between(x.writes.Exit, now)
}

// Finish completes the request at its end. cause is the reason why it has no
// complete response, or empty.
func (x *Exchange) Finish(cause string, at request.Stamp) *request.Request {
	r := &x.R
	x.Head.GiveUp()
	r.Status = x.Head.Status
	if x.Head.Cut {
		r.Flags |= request.HeadCut
	}
	if x.Responding() {
		x.writes.Respond(r)
	}
	if cause != "" {
		r.Error, r.Closed = cause, at
	}
	if b := r.Bounds(); b.Known(request.Parse) {
		r.ClientWait = min(r.ClientWait, time.Duration(b[request.App]-b[request.Parse]))
	}
	return r
}
