package blocking

import (
	"errors"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"lapwing/cmd/refserver/app"
	"lapwing/cmd/refserver/board"
	"lapwing/cmd/refserver/httpio"
	"lapwing/cmd/refserver/sock"
	"lapwing/cmd/refserver/truth"
)

const (
	// requestPatience is how long a client may be silent within a request.
	requestPatience = 30 * time.Second
	// refusalPatience is how long a client that was refused may go on sending.
	refusalPatience = time.Second
)

// Worker serves one connection after the other on the thread that called Bind.
type Worker struct {
	ID        int
	KeepAlive time.Duration // 0 closes after each response
	App       *app.App
	Slot      *board.Slot
	Log       *truth.Log
	Codec     httpio.Codec

	// SplitWrites sends the head and the body of a response by writes of their
	// own, as development servers do.
	SplitWrites bool
	// HalfClose shuts down the sending side before it closes a connection.
	HalfClose bool

	tid int
	// gate is held from the first byte of a request to the end of its
	// response. Who holds it keeps the worker from beginning another.
	gate sync.Mutex

	in       []byte // bytes that were read and not used yet
	buf      []byte // what in is a part of
	request  app.Request
	response httpio.Response
}

// Bind makes the calling thread the worker's own, for good.
func (w *Worker) Bind() {
	runtime.LockOSThread()
	w.tid = unix.Gettid()
	w.buf = make([]byte, 16<<10)
	w.Slot.Start(w.tid)
}

// TID is the thread of the worker.
func (w *Worker) TID() int { return w.tid }

// Stop keeps the worker from beginning another request. It waits for the one
// in progress.
func (w *Worker) Stop() { w.gate.Lock() }

// Source is where a connection came from, for the record.
type Source struct {
	sock.Conn
	AcceptorTID int
	Handover    int64 // when the worker took it from a queue, 0 without one
}

// Serve serves a connection until one of the two sides closes it.
func (w *Worker) Serve(src Source) {
	c := conn{Worker: w, src: src}
	w.in = w.buf[:0]
	defer w.Slot.Available()
	if lingering := c.run(); lingering {
		sock.CloseLingering(src.FD, refusalPatience)
		return
	}
	if w.HalfClose {
		// Fails when the client is gone already.
		_ = unix.Shutdown(src.FD, unix.SHUT_WR)
	}
	sock.Close(src.FD)
}

// conn is the connection that a worker serves.
type conn struct {
	*Worker
	src      Source
	seq      int
	patience time.Duration // the socket's read timeout
	readAt   int64         // when the last read returned
	rec      truth.Record
}

// run serves the requests of the connection. It reports whether the client may
// still be sending something that nobody will read.
func (c *conn) run() (lingering bool) {
	for {
		if !c.await() {
			return false
		}
		// Waits for ever when the process is being stopped.
		c.gate.Lock()
		refused, again := c.serveOne()
		c.gate.Unlock()
		if !again {
			return refused
		}
	}
}

// await waits for the first byte of a request, unless it was read along with
// the previous one.
func (c *conn) await() bool {
	patience := c.KeepAlive
	if patience == 0 {
		patience = requestPatience
	}
	for {
		c.in = c.in[c.Codec.Skip(c.in):]
		if len(c.in) > 0 {
			return true
		}
		c.Slot.Held()
		if c.read(patience) != nil {
			return false
		}
	}
}

var errClosed = errors.New("the client closed the connection")

// read adds to the input by one read call.
func (c *conn) read(patience time.Duration) error {
	if c.patience != patience {
		if err := sock.SetReadTimeout(c.src.FD, patience); err != nil {
			return err
		}
		c.patience = patience
	}
	switch len(c.in) {
	case 0:
		c.in = c.buf[:0]
	case cap(c.in):
		c.grow()
	}
	n, returned, err := sock.Read(c.src.FD, c.in[len(c.in):cap(c.in)])
	c.readAt = returned
	if err != nil {
		return err
	}
	if n == 0 {
		return errClosed
	}
	c.in = c.in[:len(c.in)+n]
	return nil
}

// grow makes room for more input: at the front of the buffer, or in a larger
// one.
func (c *conn) grow() {
	if len(c.in) > len(c.buf)/2 {
		c.buf = make([]byte, 2*len(c.buf))
	}
	c.in = c.buf[:copy(c.buf, c.in)]
}
