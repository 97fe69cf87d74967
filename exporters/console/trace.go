package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"syscall"
	"time"

	"lapwing/collectors/request"
	"lapwing/exporters"
	"lapwing/exporters/record"
)

// The limits of the queue between Export and the output, in bytes and time.
const (
	queueBytes = 4 << 20                // waiting for the writer; the same amount again is being written
	batchBytes = 64 << 10               // written in one piece; at this size the writer stops waiting for more lines
	flushAfter = 100 * time.Millisecond // the longest time that a line waits for others
)

// The causes under which Trace counts lines that were not printed.
const (
	DropSlowOutput   = "slow_output"   // the reader was too slow and the queue was full
	DropOutputClosed = "output_closed" // the reader went away, or a write failed
)

// TraceOptions configure how Trace shows requests.
type TraceOptions struct {
	Format string         // FormatText or FormatJSON; empty is FormatText
	Color  bool           // text only: use the terminal's colours
	Width  int            // text only: cells of a line; 0 when unknown
	Clock  *request.Clock // turns stamps into wall time; required
}

// Trace writes one line per request. Once Shutdown has returned, each request
// was either printed or counted as dropped.
type Trace struct {
	w      io.Writer
	encode func(b []byte, r *request.Request) []byte
	header []byte

	mu       sync.Mutex
	pending  []byte // encoded lines that wait for the writer
	waiting  uint64 // how many lines pending holds
	inFlight uint64 // lines that the writer took and has not finished
	printed  uint64
	dropped  map[string]uint64
	ended    bool // no more lines are taken or counted
	err      error

	first   chan struct{} // a first line is pending
	full    chan struct{} // a batch is pending
	closing chan struct{}
	close   func()
	done    chan struct{}
}

var _ exporters.Tracer = (*Trace)(nil)

// NewTrace returns a Trace. A goroutine of its own writes to w until Shutdown.
func NewTrace(w io.Writer, opts TraceOptions) *Trace {
	t := &Trace{
		w:       w,
		dropped: make(map[string]uint64),
		first:   make(chan struct{}, 1),
		full:    make(chan struct{}, 1),
		closing: make(chan struct{}),
		done:    make(chan struct{}),
	}
	t.close = sync.OnceFunc(func() { close(t.closing) })
	if opts.Format == FormatJSON {
		t.encode = jsonLines(opts)
	} else {
		l := &lines{layout: newLayout(opts.Width), color: opts.Color, times: opts.Clock}
		t.encode, t.header = l.appendLine, l.appendHeader(nil)
	}
	go t.run()
	return t
}

func jsonLines(opts TraceOptions) func([]byte, *request.Request) []byte {
	return func(b []byte, r *request.Request) []byte {
		return append(record.Append(b, r, opts.Clock), '\n')
	}
}

// Trace queues the line of the request, or counts it as dropped. Printed
// requests cannot be looked up by their identifiers, so kept is always false.
func (t *Trace) Trace(r *request.Request) (kept bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.ended:
		t.dropped[DropOutputClosed]++
		return false
	case len(t.pending) >= queueBytes:
		t.dropped[DropSlowOutput]++
		return false
	}
	before := len(t.pending)
	t.pending = t.encode(t.pending, r)
	t.waiting++
	if before == 0 {
		signal(t.first)
	}
	if before < batchBytes && len(t.pending) >= batchBytes {
		signal(t.full)
	}
	return false
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Shutdown writes what is queued. Lines that are still queued when ctx ends
// are counted as dropped; the error then says so.
func (t *Trace) Shutdown(ctx context.Context) error {
	t.close()
	select {
	case <-t.done:
		return t.Err()
	case <-ctx.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	left := t.inFlight + t.waiting
	t.endLocked(DropSlowOutput)
	return fmt.Errorf("write the trace: the output did not accept %d lines in time: %w", left, ctx.Err())
}

// Done returns a channel that is closed when nothing more will be written:
// after Shutdown, or when the output failed or its reader went away.
func (t *Trace) Done() <-chan struct{} { return t.done }

// Err returns why writing ended before Shutdown. A reader that went away, like
// head once it has seen enough, is not an error.
func (t *Trace) Err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}

// Printed returns the number of requests that were written so far.
func (t *Trace) Printed() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.printed
}

// Dropped returns the number of requests that were not written, by cause.
func (t *Trace) Dropped() map[string]uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make(map[string]uint64, len(t.dropped))
	for cause, n := range t.dropped {
		out[cause] = n
	}
	return out
}

// run is the writer. It swaps the queue for an empty one and writes the old
// one, so that Export never waits for the output.
func (t *Trace) run() {
	defer close(t.done)
	if len(t.header) > 0 {
		if _, err := t.w.Write(t.header); err != nil {
			t.fail(err)
			return
		}
	}
	spare := make([]byte, 0, batchBytes)
	for open := true; open; {
		open = t.wait()
		batch := t.take(spare)
		if !t.write(batch) {
			return
		}
		spare = batch[:0]
	}
	t.mu.Lock()
	t.endLocked(DropOutputClosed)
	t.mu.Unlock()
}

// wait returns true when there are enough lines to write, and false at
// Shutdown.
func (t *Trace) wait() bool {
	select {
	case <-t.first:
	case <-t.closing:
		return false
	}
	timer := time.NewTimer(flushAfter)
	defer timer.Stop()
	select {
	case <-t.full:
	case <-timer.C:
	case <-t.closing:
		return false
	}
	return true
}

// take hands the pending lines to the writer and puts the spare in their place.
func (t *Trace) take(spare []byte) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	batch := t.pending
	t.pending = spare
	t.inFlight, t.waiting = t.waiting, 0
	return batch
}

// write writes whole lines in pieces of about batchBytes and accounts for each
// piece. So only little is uncertain if the output stalls for good.
func (t *Trace) write(batch []byte) bool {
	for len(batch) > 0 {
		piece := batch[:pieceEnd(batch)]
		n, err := t.w.Write(piece)
		if !t.account(countRequests(piece[:n])) {
			return false
		}
		if err != nil {
			t.fail(err)
			return false
		}
		batch = batch[len(piece):]
	}
	return true
}

func pieceEnd(batch []byte) int {
	if len(batch) <= batchBytes {
		return len(batch)
	}
	if i := bytes.LastIndexByte(batch[:batchBytes], '\n'); i >= 0 {
		return i + 1
	}
	return bytes.IndexByte(batch, '\n') + 1
}

// account counts lines as printed. It returns false if Shutdown has given them
// up in the meantime and counted them as dropped.
func (t *Trace) account(lines uint64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return false
	}
	t.printed += lines
	t.inFlight -= lines
	return true
}

// fail ends the trace because writing failed.
func (t *Trace) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.endLocked(DropOutputClosed)
	if !readerLeft(err) {
		t.err = fmt.Errorf("write the trace: %w", err)
	}
}

// endLocked counts everything that was not printed under cause.
func (t *Trace) endLocked(cause string) {
	if left := t.inFlight + t.waiting; left > 0 {
		t.dropped[cause] += left
	}
	t.inFlight, t.waiting, t.pending, t.ended = 0, 0, nil, true
}

// readerLeft reports whether a write failed because the other end of a pipe was
// closed, as `| head` does once it has seen enough.
func readerLeft(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe)
}
