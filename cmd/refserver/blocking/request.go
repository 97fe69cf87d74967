package blocking

import (
	"errors"

	"lapwing/cmd/refserver/app"
	"lapwing/cmd/refserver/clock"
	"lapwing/cmd/refserver/httpio"
	"lapwing/cmd/refserver/sock"
	"lapwing/cmd/refserver/truth"
)

func (c *conn) now() int64 { return clock.Now() }

// serveOne reads one request and sends the response. It reports whether the
// request was refused, and whether the connection can carry another one.
func (c *conn) serveOne() (refused, again bool) {
	c.seq++
	c.rec = truth.Record{
		Worker: c.ID, TID: c.tid, AcceptorTID: c.src.AcceptorTID, Peer: c.src.Peer, Seq: c.seq,
		Accept: c.src.Accepted, Handover: c.src.Handover, ReadFirst: c.readAt,
	}
	c.Slot.Busy(c.readAt)
	stream := sock.Stream{FD: c.src.FD}
	err := c.readRequest(&stream)
	c.rec.Method = c.Codec.Head().Method
	c.rec.SetID(c.Codec.Head().ID())
	switch {
	case err == nil:
		c.rec.Read = c.readAt
		c.answer(&stream)
	case errors.As(err, new(*httpio.Error)):
		refused = true
		c.refuse(&stream, err)
	default:
		c.rec.Error = reason(err)
	}
	c.record(&stream)
	return refused, err == nil && c.response.KeepAlive()
}

// readRequest reads the head and the body.
func (c *conn) readRequest(stream *sock.Stream) error {
	c.Codec.Reset()
	for {
		used, done, err := c.Codec.Decode(c.in)
		c.rec.RequestBytes += int64(used)
		c.in = c.in[used:]
		if err != nil || done {
			return err
		}
		if c.Codec.WantsContinue() {
			if err := askForBody(stream.FD); err != nil {
				return err
			}
		}
		if err := c.read(requestPatience); err != nil {
			return err
		}
	}
}

// askForBody sends the interim response to a client that waits for it. It is
// not stamped, because it is not the response.
func askForBody(fd int) error {
	interim := sock.Stream{FD: fd}
	return interim.Send([]byte(httpio.Continue), nil)
}

// answer calls the application and sends what it writes.
func (c *conn) answer(stream *sock.Stream) {
	head := c.Codec.Head()
	c.request = app.Request{
		Method: head.Method, Path: head.Path, Query: head.Query,
		ID: head.ID(), BodySize: c.Codec.BodySize(),
	}
	c.Codec.Respond(&c.response, stream, c.KeepAlive > 0)
	c.response.SplitWrites = c.SplitWrites
	c.rec.AppEnter = c.now()
	pending := app.Serve(c.App, &c.response, &c.request)
	for pending.Then != nil {
		c.response.Flush()
		clock.Sleep(pending.After)
		pending = pending.Then(&c.response)
	}
	c.rec.AppLeave = c.now()
	c.rec.Route = c.request.Route
	if c.response.Finish() != nil {
		c.rec.Error = "client_gone"
	}
}

// refuse responds to a malformed request, or to one that this server does not
// support.
func (c *conn) refuse(stream *sock.Stream, err error) {
	var e *httpio.Error
	errors.As(err, &e)
	c.rec.Read = c.readAt
	c.Codec.Respond(&c.response, stream, false)
	c.response.Refuse(e)
	if c.response.Finish() != nil {
		c.rec.Error = "client_gone"
	}
}

// record completes the truth record of the request.
func (c *conn) record(stream *sock.Stream) {
	c.rec.WriteEnter, c.rec.WriteLeave = stream.Entered, stream.Left
	c.rec.ResponseBytes = stream.Sent
	if stream.Entered != 0 {
		c.rec.Status = c.response.Status()
	}
	c.Slot.Served()
	c.Log.Add(&c.rec)
}

// reason returns why a request never became complete, for the record.
func reason(err error) string {
	if errors.Is(err, sock.ErrTimeout) {
		return "request_timeout"
	}
	return "client_gone"
}
