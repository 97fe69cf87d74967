package peer

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// write makes the calls of a write step until all data was written.
func (t *thread) write(s Step, fd int) error {
	data := s.payload()
	if s.Op == OpWritePoll || s.Op == OpWriteRoom {
		if err := unix.SetNonblock(fd, true); err != nil {
			return err
		}
		defer func() { _ = unix.SetNonblock(fd, false) }()
	}
	for first := true; len(data) > 0; first = false {
		if !first && s.Pause > 0 {
			if err := sleep(s.Pause); err != nil {
				return err
			}
		}
		if s.Op == OpWriteRoom {
			if err := awaitRoom(fd); err != nil {
				return err
			}
		}
		n, err := t.writeOnce(s, fd, data)
		if errors.Is(err, unix.EAGAIN) {
			err = awaitRoom(fd)
		}
		if err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

// payload returns the data of the step, padded to its size.
func (s Step) payload() []byte {
	if s.Size <= len(s.Data) {
		return s.Data
	}
	data := make([]byte, s.Size)
	for i := copy(data, s.Data); i < len(data); i++ {
		data[i] = 'x'
	}
	return data
}

// writeOnce makes one call. A call that was refused because of a full buffer is
// not stamped, because it carried nothing.
func (t *thread) writeOnce(s Step, fd int, data []byte) (int, error) {
	if s.Chunk > 0 {
		data = data[:min(len(data), s.Chunk)]
	}
	n := 0
	err := t.carrying(s, func() (int, error) {
		var err error
		n, err = send(s.Via, fd, data)
		return n, err
	})
	return max(n, 0), err
}

// carrying makes a call and stamps it, unless it was refused because of a full
// buffer.
func (t *thread) carrying(s Step, call func() (int, error)) error {
	err := t.stamped(s, call)
	if errors.Is(err, unix.EAGAIN) && s.Label != "" {
		t.stamps = t.stamps[:len(t.stamps)-1]
	}
	return err
}

// awaitRoom polls until the socket accepts data again.
func awaitRoom(fd int) error {
	for {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, -1)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// sendFrom sends the data without a write call: from a file with sendfile, or
// from a pipe with splice.
func (t *thread) sendFrom(s Step, fd int) error {
	from := int(t.sources[t.at].Fd())
	for left := max(s.Size, len(s.Data)); left > 0; { // creating it again would take time
		n := 0
		err := t.stamped(s, func() (int, error) {
			var err error
			if s.Op == OpSplice {
				n, err = splice(fd, from, left)
			} else {
				n, err = sendfile(fd, from, left)
			}
			return n, err
		})
		if err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("%s moved nothing with %d bytes left", s.Op, left)
		}
		left -= n
	}
	return nil
}

// prepare creates the sources of the steps of a script, so that their time does
// not include this.
func (t *thread) prepare(steps []Step) error {
	for i, s := range steps {
		if s.Op != OpSendfile && s.Op != OpSplice {
			continue
		}
		f, err := s.source()
		if err != nil {
			return fmt.Errorf("data of step %d: %w", i, err)
		}
		t.sources[i] = f
	}
	return nil
}

// source returns a file, or the read end of a pipe, with the step's data.
func (s Step) source() (*os.File, error) {
	data := s.payload()
	if s.Op == OpSplice {
		var ends [2]int
		if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
			return nil, err
		}
		// What does not fit into the pipe would block forever.
		_, err := unix.FcntlInt(uintptr(ends[1]), unix.F_SETPIPE_SZ, max(len(data), 4096))
		if err == nil {
			_, err = unix.Write(ends[1], data)
		}
		return os.NewFile(uintptr(ends[0]), "pipe"), errors.Join(err, unix.Close(ends[1]))
	}
	fd, err := unix.MemfdCreate("response", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "response")
	if _, err := f.Write(data); err != nil {
		return nil, err
	}
	_, err = f.Seek(0, 0)
	return f, err
}
