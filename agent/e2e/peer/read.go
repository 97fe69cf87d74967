package peer

import (
	"bytes"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// read makes the calls of a read step until it has what it waits for.
func (t *thread) read(s Step, fd int) error {
	var got []byte
	total := 0
	for calls := 0; ; calls++ {
		if calls > 0 && s.Pause > 0 {
			if err := sleep(s.Pause); err != nil {
				return err
			}
		}
		n, err := t.readOnce(s, fd, total)
		if err != nil {
			return err
		}
		total += n
		if s.Op == OpReadHead {
			got = append(got, t.buf[:n]...)
		}
		switch {
		case s.Op == OpRead, n == 0 && s.Op == OpReadEOF:
			return nil
		case n == 0:
			return fmt.Errorf("the stream ended after %d bytes", total)
		case s.Op == OpReadHead && bytes.Contains(got, []byte("\r\n\r\n")):
			return nil
		case s.Op == OpReadFull && total == s.Size:
			return nil
		}
	}
}

func (t *thread) readOnce(s Step, fd, total int) (int, error) {
	want := len(t.buf)
	if s.Chunk > 0 {
		want = min(want, s.Chunk)
	}
	if s.Op == OpRead || s.Op == OpReadFull {
		want = min(want, s.Size-total)
	}
	n := 0
	err := t.stamped(s, func() (int, error) {
		var err error
		n, err = receive(s.Via, fd, t.buf[:want])
		return n, err
	})
	return max(n, 0), err
}

// look makes a call that removes no bytes from the socket: a peek, or one that
// must find nothing.
func (t *thread) look(s Step, fd int) error {
	flags := unix.MSG_PEEK
	if s.Op == OpReadNone {
		flags = unix.MSG_DONTWAIT
	}
	err := t.stamped(s, func() (int, error) {
		return plain(unix.SYS_RECVFROM, fd, t.buf[:max(s.Size, 1)], flags)
	})
	if s.Op == OpPeek {
		return err
	}
	if !errors.Is(err, unix.EAGAIN) {
		return fmt.Errorf("a read that should have found nothing: %w", err)
	}
	return nil
}
