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
	// refusalPatience is how long a refused client may continue to send.
	refusalPatience = time.Second
)

// Worker serves one connection after the other, on the thread that called Bind.
type Worker struct {
	ID        int
	KeepAlive time.Duration // 0 closes the connection after each response
	App       *app.App
	Slot      *board.Slot
	Log       *truth.Log
	Codec     httpio.Codec

	// SplitWrites sends the head and the body of a response in separate writes,
	// as development servers do.
	SplitWrites bool
	// HalfClose shuts down the sending side before the connection is closed.
	HalfClose bool

	tid int
	// gate is held from the first byte of a request to the end of its response.
	// While another holds it, the worker cannot start a request.
	gate sync.Mutex

	in       []byte // bytes that were read and not used yet
	buf      []byte // the buffer that contains in
	request  app.Request
	response httpio.Response
}

// Bind makes the calling thread the worker's thread permanently.
func (w *Worker) Bind() {
	runtime.LockOSThread()
	w.tid = unix.Gettid()
	w.buf = make([]byte, 16<<10)
	w.Slot.Start(w.tid)
}

// TID returns the id of the worker's thread.
func (w *Worker) TID() int { return w.tid }

// Stop keeps the worker from starting another request. It waits for the one in
// progress.
func (w *Worker) Stop() { w.gate.Lock() }

// Source is the origin of a connection, for the record.
type Source struct {
	sock.Conn
	AcceptorTID int
	Handover    int64 // when the worker took it from a queue; 0 without a queue
}

// Serve serves a connection until either side closes it.
func (w *Worker) Serve(src Source) {
	c := conn{Worker: w, src: src}
	w.in = w.buf[:0]
	defer w.Slot.Available()
	if lingering := c.run(); lingering {
		sock.CloseLingering(src.FD, refusalPatience)
		return
	}
	if w.HalfClose {
		// Fails if the client is already gone.
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
// still be sending something that will not be read.
func (c *conn) run() (lingering bool) {
	for {
		if !c.await() {
			return false
		}
		// Blocks forever while the process is being stopped.
		c.gate.Lock()
		refused, again := c.serveOne()
		c.gate.Unlock()
		if !again {
			return refused
		}
	}
}

// await waits for the first byte of a request, unless it was read together with
// the previous request.
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

// read adds to the input with one read call.
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

// grow makes room for more input, at the start of the buffer or in a larger
// one.
func (c *conn) grow() {
	if len(c.in) > len(c.buf)/2 {
		c.buf = make([]byte, 2*len(c.buf))
	}
	c.in = c.buf[:copy(c.buf, c.in)]
}
