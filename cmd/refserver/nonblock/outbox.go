package nonblock

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"

	"lapwing/cmd/refserver/clock"
	"lapwing/cmd/refserver/httpio"
	"lapwing/cmd/refserver/stamped"
)

// Outbox writes to a non-blocking socket. What the kernel does not take at once
// waits until Flush.
type Outbox struct {
	FD int

	Entered int64 // CLOCK_MONOTONIC: the first write was entered; 0 if there was none
	Left    int64 // the last write that wrote bytes returned
	Sent    int64 // bytes

	waiting []piece
	err     error
}

// piece is bytes that wait, or a part of a file that waits.
type piece struct {
	bytes  []byte
	file   int
	offset int64
	end    int64 // the end of the part of the file
}

var _ httpio.Sink = (*Outbox)(nil)

// Reset prepares for the next response on the same connection.
func (o *Outbox) Reset() { *o = Outbox{FD: o.FD, waiting: o.waiting[:0], err: o.err} }

// Empty reports whether nothing waits.
func (o *Outbox) Empty() bool { return len(o.waiting) == 0 }

// Send implements httpio.Sink. It copies what has to wait.
func (o *Outbox) Send(head, body []byte) error {
	if o.Empty() && o.err == nil {
		head, body = o.sendNow(head, body)
	}
	for _, b := range [][]byte{head, body} {
		if len(b) > 0 {
			o.waiting = append(o.waiting, piece{bytes: append([]byte(nil), b...)})
		}
	}
	return o.err
}

// sendNow writes what the kernel takes and returns the rest.
func (o *Outbox) sendNow(head, body []byte) (restHead, restBody []byte) {
	n := o.stamp(func() (int, int64, error) {
		switch {
		case len(body) == 0:
			return stamped.Write(o.FD, head)
		case len(head) == 0:
			return stamped.Write(o.FD, body)
		}
		return stamped.Writev(o.FD, head, body)
	})
	k := min(n, len(head))
	return head[k:], body[n-k:]
}

// SendFile implements httpio.Sink.
func (o *Outbox) SendFile(file int, offset, n int64) error {
	o.waiting = append(o.waiting, piece{file: file, offset: offset, end: offset + n})
	if len(o.waiting) == 1 {
		return o.Flush()
	}
	return o.err
}

// Queue adds bytes that Flush will write. They are not copied.
func (o *Outbox) Queue(b []byte) { o.waiting = append(o.waiting, piece{bytes: b}) }

// Flush writes as much of what waits as the kernel takes.
func (o *Outbox) Flush() error {
	for len(o.waiting) > 0 && o.err == nil {
		done, progress := o.flushOne(&o.waiting[0])
		if done {
			o.waiting = o.waiting[1:]
		} else if !progress {
			break
		}
	}
	return o.err
}

func (o *Outbox) flushOne(p *piece) (done, progress bool) {
	if p.bytes != nil {
		n := o.stamp(func() (int, int64, error) { return stamped.Write(o.FD, p.bytes) })
		p.bytes = p.bytes[n:]
		return len(p.bytes) == 0, n > 0
	}
	n := o.stamp(func() (int, int64, error) {
		n, returned, err := stamped.Sendfile(o.FD, p.file, &p.offset, int(p.end-p.offset))
		if n == 0 && err == nil {
			err = io.ErrUnexpectedEOF // the file is shorter than expected
		}
		return n, returned, err
	})
	return p.offset == p.end, n > 0
}

// stamp makes one write call, repeats it after a signal, and returns how many
// bytes were written. A full socket is not an error.
func (o *Outbox) stamp(write func() (int, int64, error)) int {
	for {
		entered := clock.Now()
		n, returned, err := write()
		if o.Entered == 0 {
			o.Entered = entered
		}
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return 0
		case err != nil:
			o.err = err
			return 0
		}
		o.Left = returned
		o.Sent += int64(n)
		return n
	}
}
