package front

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"lapwing/cmd/refserver/clock"
	"lapwing/cmd/refserver/httpio"
	"lapwing/cmd/refserver/nonblock"
	"lapwing/cmd/refserver/sock"
)

// patience is how long the upstream server may make no progress.
const patience = 60 * time.Second

// exchange is one request that is passed to the upstream server. It handles the
// events of the upstream connection.
type exchange struct {
	w      *worker
	client *nonblock.Conn
	fd     int // −1 if closed
	out    nonblock.Outbox
	answer answer

	connected bool
	readable  bool
	paused    bool  // the client must first receive what is waiting
	deadline  int64 // CLOCK_MONOTONIC
}

func newExchange(w *worker, c *nonblock.Conn) *exchange {
	return &exchange{w: w, client: c, fd: -1, answer: answer{unwrapper: w.upstream.decode()}}
}

// start connects and starts to send.
func (x *exchange) start() {
	codec := x.client.Codec().(*buffering) // every connection has one
	x.answer.noBody = codec.Head().Method == "HEAD"
	request, err := x.w.upstream.encode(nil, codec.Head(), target(codec.Head()), codec.body)
	if err != nil {
		x.fail(err)
		return
	}
	if x.fd, err = sock.DialNonblock(x.w.upstream.address); err != nil {
		x.fail(err)
		return
	}
	x.out.FD = x.fd
	x.out.Queue(request)
	x.deadline = clock.Now() + int64(patience)
	if err := x.w.loop.Watch(x.fd, unix.EPOLLIN|unix.EPOLLOUT|unix.EPOLLRDHUP|unix.EPOLLET, x); err != nil {
		x.fail(err)
		return
	}
	x.w.loop.After(patience, x.checkTime)
}

// Ready implements event.Handler.
func (x *exchange) Ready(events uint32) {
	if x.fd < 0 {
		return
	}
	if !x.connected {
		if err := sock.ConnectError(x.fd); err != nil {
			x.fail(fmt.Errorf("connect to the upstream server: %w", err))
			x.client.Resume()
			return
		}
		x.connected = true
	}
	if events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		x.readable = true
	}
	x.deadline = clock.Now() + int64(patience)
	// Ignore errors of sending: the upstream server may have responded before
	// it closed.
	_ = x.out.Flush()
	x.relay()
	x.client.Resume()
}

// relay passes on what the upstream server has sent, as fast as the client
// receives it.
func (x *exchange) relay() {
	var buf [32 << 10]byte
	for x.fd >= 0 && x.readable && !x.paused {
		n, err := unix.Read(x.fd, buf[:])
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			x.readable = false
			return
		case err != nil:
			x.fail(fmt.Errorf("read from the upstream server: %w", err))
			return
		case n == 0:
			x.end()
			return
		}
		done, err := x.answer.feed(buf[:n], &x.client.Response)
		switch {
		case err != nil:
			x.fail(err)
		case done:
			x.finish()
		default:
			x.pace()
		}
	}
}

// pace sends what is waiting, and stops reading while the client does not
// receive it.
func (x *exchange) pace() {
	if !x.answer.begun {
		return
	}
	x.client.Response.Flush()
	if x.client.Response.Err() != nil {
		x.finish()
		return
	}
	if x.client.Out.Empty() {
		return
	}
	x.paused = true
	x.client.WhenSent(func() {
		x.paused = false
		x.deadline = clock.Now() + int64(patience)
		x.relay()
	})
}

// end handles the end of the upstream connection. The response ends too, unless
// its head announced more.
func (x *exchange) end() {
	if !x.answer.begun {
		x.fail(errors.New("the upstream server closed the connection without a response"))
		return
	}
	x.finish()
}

// fail responds with 502 if nothing was sent yet. Otherwise the response stays
// incomplete and the connection of the client is closed.
func (x *exchange) fail(err error) {
	if !x.answer.begun {
		x.client.Response.Refuse(&httpio.Error{Status: 502, Reason: err.Error()})
	} else {
		x.client.Response.Break()
	}
	x.finish()
}

func (x *exchange) finish() {
	if x.fd >= 0 {
		x.w.loop.Forget(x.fd)
		sock.Close(x.fd)
		x.fd = -1
	}
	x.client.Rec.UpstreamWrite, x.client.Rec.AppLeave = x.out.Entered, clock.Now()
	x.client.Done()
}

// checkTime ends the exchange if the upstream server makes no progress.
func (x *exchange) checkTime() {
	if x.fd < 0 {
		return
	}
	if x.client.Closed() {
		x.finish()
		return
	}
	left := time.Duration(x.deadline - clock.Now())
	if left > 0 || x.paused {
		x.w.loop.After(max(left, time.Second), x.checkTime)
		return
	}
	x.fail(errors.New("the upstream server made no progress for " + patience.String()))
	x.client.Resume()
}
