package nonblock

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"lapwing/cmd/refserver/clock"
	"lapwing/cmd/refserver/httpio"
	"lapwing/cmd/refserver/sock"
	"lapwing/cmd/refserver/stamped"
	"lapwing/cmd/refserver/truth"
)

// Conn is one connection of a client.
type Conn struct {
	sock.Conn
	Rec      truth.Record    // the request in progress
	Response httpio.Response // the response to the request in progress
	Out      Outbox

	server *Server
	codec  httpio.Codec
	state  state

	buf    []byte // nil while it is empty
	in     []byte // the part of buf that was read and not used yet
	readAt int64  // when the last read that returned bytes returned

	readable bool // a read may return bytes
	ended    bool // the client has sent its last byte
	refused  bool
	whenSent func() // see WhenSent

	seq, served int   // requests started and done
	deadline    int64 // when the client has been silent for too long; 0 if it need not act
}

type state uint8

const (
	reading   state = iota
	serving         // Server.Serve has the request, until Done
	sending         // the response is complete, but parts of it are not sent yet
	lingering       // the request was refused; further input is discarded
	closed
)

// Codec returns the codec of the connection.
func (c *Conn) Codec() httpio.Codec { return c.codec }

// Respond prepares Response for the request in progress.
func (c *Conn) Respond(sink httpio.Sink) {
	c.codec.Respond(&c.Response, sink, c.server.KeepAlive > 0 && !c.server.stopping)
}

// Ready implements event.Handler.
func (c *Conn) Ready(events uint32) {
	if events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		c.readable = true
	}
	if events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		c.ended = true
	}
	c.drive()
}

// drive continues until the connection has to wait.
func (c *Conn) drive() {
	for more := true; more; {
		switch c.state {
		case reading:
			more = c.decode()
		case sending:
			more = c.flush()
		case serving:
			more = c.sent()
		case lingering:
			more = c.discard()
		default:
			more = false
		}
	}
}

// decode decodes the input. It reports whether there is more to do.
func (c *Conn) decode() bool {
	if c.seq == c.served {
		c.in = c.in[c.codec.Skip(c.in):]
	}
	if len(c.in) > 0 {
		if c.seq == c.served {
			c.begin()
		}
		used, done, err := c.codec.Decode(c.in)
		c.Rec.RequestBytes += int64(used)
		c.in = c.in[used:]
		switch {
		case err != nil:
			return c.refuse(err)
		case done:
			return c.serve()
		case c.codec.WantsContinue():
			// These few bytes fit, because nothing else is being sent.
			_, _ = unix.Write(c.FD, []byte(httpio.Continue))
		}
	}
	return c.read()
}

// begin starts the record of a request whose first bytes have arrived.
func (c *Conn) begin() {
	c.seq++
	c.Rec = truth.Record{
		Worker: c.server.Worker, TID: c.server.tid, AcceptorTID: c.server.tid, Peer: c.Peer,
		Seq: c.seq, Accept: c.Accepted, ReadFirst: c.readAt,
	}
	c.codec.Reset()
	c.Out.Reset()
	c.server.begin(c.readAt)
	c.extend()
}

// read adds to the input with one read call.
func (c *Conn) read() bool {
	if !c.readable {
		c.rest()
		return false
	}
	c.makeRoom()
	room := c.in[len(c.in):cap(c.in)]
	n, returned, err := stamped.Read(c.FD, room)
	switch {
	case errors.Is(err, unix.EINTR):
		return true
	case errors.Is(err, unix.EAGAIN):
		c.readable = false
		return true
	case err != nil || n == 0:
		c.abandon("client_gone")
		return false
	}
	c.readAt = returned
	c.in = c.in[:len(c.in)+n]
	// A short read has emptied the socket, so new bytes cause a new event. But
	// the end of the stream is not reported twice.
	c.readable = n == len(room) || c.ended
	c.extend()
	return true
}

// makeRoom makes room for input at the end of the buffer.
func (c *Conn) makeRoom() {
	switch {
	case c.buf == nil:
		c.buf = c.server.buffer()
		c.in = c.buf
	case len(c.in) == 0:
		c.in = c.buf[:0]
	case len(c.in) == cap(c.in):
		if len(c.in) > cap(c.buf)/2 {
			c.buf = make([]byte, 0, 2*cap(c.buf))
		}
		c.in = append(c.buf, c.in...)
	}
}

// rest returns the buffer while a connection is idle.
func (c *Conn) rest() {
	if c.buf != nil && len(c.in) == 0 && c.seq == c.served {
		c.server.release(c.buf)
		c.buf, c.in = nil, nil
	}
}

// serve passes a complete request to Server.Serve.
func (c *Conn) serve() bool {
	c.state = serving
	c.deadline = 0
	head := c.codec.Head()
	c.Rec.Read, c.Rec.Method = c.readAt, head.Method
	c.Rec.SetID(head.ID())
	c.server.Serve(c)
	return true
}

func (c *Conn) refuse(err error) bool {
	var e *httpio.Error
	if !errors.As(err, &e) {
		c.abandon("client_gone")
		return false
	}
	head := c.codec.Head()
	c.Rec.Read, c.Rec.Method = c.readAt, head.Method
	c.Rec.SetID(head.ID())
	c.refused = true
	c.Respond(&c.Out)
	c.Response.Refuse(e)
	c.Done()
	return true
}

// Done is called when the application has responded. Its output may still wait
// to be sent.
func (c *Conn) Done() {
	if c.state == closed {
		return
	}
	// A failure is reported by Err of the response.
	_ = c.Response.Finish()
	c.state = sending
	c.extend()
}

// WhenSent calls do once everything written so far is sent, or cannot be sent.
// It is for a response that is not complete yet. If it is called from outside
// the connection's own calls, Resume must be called after it, as after Done.
func (c *Conn) WhenSent(do func()) {
	if c.state == closed {
		return
	}
	c.whenSent = do
	c.extend()
}

// Closed reports whether the connection is gone.
func (c *Conn) Closed() bool { return c.state == closed }

// sent calls the function that waits for an empty outbox.
func (c *Conn) sent() bool {
	if c.whenSent == nil || c.Out.Flush() == nil && !c.Out.Empty() {
		return false
	}
	do := c.whenSent
	c.whenSent, c.deadline = nil, 0
	do()
	return true
}

// Resume continues after a Done or WhenSent that was called outside of
// Server.Serve and outside of the functions that WhenSent calls.
func (c *Conn) Resume() { c.drive() }

// flush sends what waits, and ends the request when everything is sent.
func (c *Conn) flush() bool {
	before := c.Out.Sent
	err := errors.Join(c.Out.Flush(), c.Response.Err())
	if err == nil && !c.Out.Empty() {
		if c.Out.Sent > before {
			c.extend()
		}
		return false
	}
	if err != nil {
		c.Rec.Error = "client_gone"
	}
	c.record()
	switch {
	case c.refused && err == nil:
		return c.linger()
	case err != nil || !c.Response.KeepAlive() || c.server.stopping:
		c.close()
		return false
	}
	c.state = reading
	c.extend()
	return true
}

// record completes the truth record of the request in progress.
func (c *Conn) record() {
	if c.Out.Entered != 0 {
		c.Rec.WriteEnter, c.Rec.WriteLeave, c.Rec.ResponseBytes = c.Out.Entered, c.Out.Left, c.Out.Sent
	}
	if c.Rec.WriteEnter != 0 {
		c.Rec.Status = c.Response.Status()
	}
	c.served = c.seq
	c.server.Log.Add(&c.Rec)
	c.server.end()
}

// linger sends the end of the response, and waits until the client has seen it:
// closing while the client still sends would reset the connection.
func (c *Conn) linger() bool {
	c.state = lingering
	c.deadline = clock.Now() + int64(refusalPatience)
	return unix.Shutdown(c.FD, unix.SHUT_WR) == nil || c.gone()
}

func (c *Conn) discard() bool {
	if !c.readable {
		return false
	}
	var scratch [bufferSize]byte
	n, err := unix.Read(c.FD, scratch[:])
	switch {
	case errors.Is(err, unix.EAGAIN):
		c.readable = false
	case errors.Is(err, unix.EINTR):
	case err != nil || n == 0:
		return c.gone()
	}
	return true
}

func (c *Conn) gone() bool {
	c.close()
	return false
}

// abandon closes a connection during a request, or between two.
func (c *Conn) abandon(reason string) {
	if c.seq > c.served {
		c.Rec.Method = c.codec.Head().Method
		c.Rec.SetID(c.codec.Head().ID())
		c.Rec.Error = reason
		c.record()
	}
	c.close()
}

func (c *Conn) close() {
	if c.state == closed {
		return
	}
	c.state = closed
	c.server.Loop.Forget(c.FD)
	sock.Close(c.FD)
	if c.buf != nil {
		c.server.release(c.buf)
		c.buf, c.in = nil, nil
	}
	delete(c.server.conns, c)
	c.server.resume()
}

// extend gives the client new time to act.
func (c *Conn) extend() {
	d := patience
	if c.state == reading && c.seq == c.served && c.server.KeepAlive > 0 {
		d = c.server.KeepAlive
	}
	c.deadline = clock.Now() + int64(d)
}

// watchTime checks the deadline when it may have passed.
func (c *Conn) watchTime() {
	c.extend()
	c.checkTime()
}

func (c *Conn) checkTime() {
	if c.state == closed {
		return
	}
	left := time.Duration(c.deadline - clock.Now())
	switch {
	case c.deadline == 0: // the server has to act
		left = patience
	case left <= 0:
		c.abandon("request_timeout")
		return
	}
	if c.server.KeepAlive > 0 {
		left = min(left, c.server.KeepAlive) // the next deadline may be that close
	}
	c.server.Loop.After(left, c.checkTime)
}
