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

// serveOne reads one request and answers it. It reports whether the request
// was refused and whether the connection is good for another.
func (c *conn) serveOne() (refused, again bool) {
	c.seq++
	c.rec = truth.Record{
		Worker: c.ID, TID: c.tid, AcceptorTID: c.src.AcceptorTID, Peer: c.src.Peer, Seq: c.seq,
		Accept: c.src.Accepted, Handover: c.src.Handover, ReadFirst: c.readAt,
	}
	c.Slot.Busy(c.readAt)
	stream := sock.Stream{FD: c.src.FD}
	err := c.readRequest(&stream)
	c.rec.Method = c.head.Method
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

// readRequest reads head and body. Only a client that waits for it is asked to
// go on with the body.
func (c *conn) readRequest(stream *sock.Stream) error {
	n, err := httpio.ParseHead(c.in, &c.head)
	for errors.Is(err, httpio.ErrIncomplete) {
		if err = c.read(requestPatience); err != nil {
			return err
		}
		n, err = httpio.ParseHead(c.in, &c.head)
	}
	c.rec.SetID(c.head.ID())
	if err != nil {
		return err
	}
	c.keepHead(n)
	if err := c.body.Begin(&c.head); err != nil {
		return err
	}
	for !c.body.Done() {
		if err := c.readBody(stream); err != nil {
			return err
		}
	}
	return nil
}

// keepHead takes the head out of the input. The head's fields view into the
// buffer: where a body follows, reading it would overwrite them, so it gets a
// buffer of its own.
func (c *conn) keepHead(n int) {
	c.take(n)
	if c.head.HasBody() {
		c.request.ID = append([]byte(nil), c.head.ID()...)
		c.head.Path = append([]byte(nil), c.head.Path...)
		c.head.Query = append([]byte(nil), c.head.Query...)
		return
	}
	c.request.ID = c.head.ID()
}

// take marks n bytes of the input as used.
func (c *conn) take(n int) {
	c.rec.RequestBytes += int64(n)
	c.in = c.in[n:]
}

// readBody uses a piece of the body, after reading one if there is none.
func (c *conn) readBody(stream *sock.Stream) error {
	used, _, err := c.body.Next(c.in)
	if err != nil {
		return err
	}
	c.take(used)
	if used > 0 {
		return nil
	}
	if c.head.Expect {
		c.head.Expect = false
		// An interim response is not the response: it is not stamped.
		interim := sock.Stream{FD: stream.FD}
		if err := interim.Send([]byte(httpio.Continue), nil); err != nil {
			return err
		}
	}
	return c.read(requestPatience)
}

// answer calls the application and sends what it writes.
func (c *conn) answer(stream *sock.Stream) {
	c.request = app.Request{
		Method: c.head.Method, Path: c.head.Path, Query: c.head.Query,
		ID: c.request.ID, BodySize: c.body.Size,
	}
	c.response.Reset(stream, &c.head, c.head.KeepAlive && c.KeepAlive > 0)
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

// refuse answers a request that is not one, or not one for this server.
func (c *conn) refuse(stream *sock.Stream, err error) {
	var e *httpio.Error
	errors.As(err, &e)
	c.rec.Read = c.readAt
	c.response.Reset(stream, &c.head, false)
	c.response.Refuse(e)
	if c.response.Finish() != nil {
		c.rec.Error = "client_gone"
	}
}

// record completes the truth about the request.
func (c *conn) record(stream *sock.Stream) {
	c.rec.WriteEnter, c.rec.WriteLeave = stream.Entered, stream.Left
	c.rec.ResponseBytes = stream.Sent
	if stream.Entered != 0 {
		c.rec.Status = c.response.Status()
	}
	c.Slot.Served()
	c.Log.Add(&c.rec)
}

// reason names, for the record, why a request was never complete.
func reason(err error) string {
	if errors.Is(err, sock.ErrTimeout) {
		return "request_timeout"
	}
	return "client_gone"
}
