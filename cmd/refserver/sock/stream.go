package sock

import (
	"errors"
	"io"
	"time"

	"golang.org/x/sys/unix"

	"lapwing/cmd/refserver/clock"
	"lapwing/cmd/refserver/stamped"
)

// Stream writes to a socket on a thread that may block, and stamps the writes.
type Stream struct {
	FD int
	// Nonblocking means that the socket is non-blocking. If a write would
	// block, the thread waits in poll.
	Nonblocking bool

	Entered int64 // CLOCK_MONOTONIC: the first write was entered; 0 if there was none
	Left    int64 // the last write returned
	Sent    int64 // bytes
}

// Send writes head, then body, with one system call if the kernel takes all of
// it.
func (s *Stream) Send(head, body []byte) error {
	for len(head) > 0 && len(body) > 0 {
		n, err := s.stamp(func() (int, int64, error) { return stamped.Writev(s.FD, head, body) })
		if err != nil {
			return err
		}
		k := min(n, len(head))
		head, body = head[k:], body[n-k:]
	}
	if err := s.write(head); err != nil {
		return err
	}
	return s.write(body)
}

func (s *Stream) write(p []byte) error {
	for len(p) > 0 {
		n, err := s.stamp(func() (int, int64, error) { return stamped.Write(s.FD, p) })
		if err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// SendFile sends n bytes of the file, starting at offset.
func (s *Stream) SendFile(file int, offset, n int64) error {
	// sendfile moves at most about 2 GiB at once.
	const atOnce = 1 << 30
	for end := offset + n; offset < end; {
		sent, err := s.stamp(func() (int, int64, error) {
			return stamped.Sendfile(s.FD, file, &offset, int(min(end-offset, atOnce)))
		})
		if err != nil {
			return err
		}
		if sent == 0 {
			return io.ErrUnexpectedEOF // the file is shorter than expected
		}
	}
	return nil
}

// stamp makes one write call, and repeats it if a signal interrupted it.
func (s *Stream) stamp(write func() (int, int64, error)) (int, error) {
	for {
		entered := clock.Now()
		n, returned, err := write()
		s.Left = returned
		if s.Entered == 0 {
			s.Entered = entered
		}
		if errors.Is(err, unix.EINTR) || s.Nonblocking && errors.Is(err, unix.EAGAIN) && s.writable() {
			continue
		}
		s.Sent += int64(max(n, 0))
		return n, err
	}
}

// pollPatience is how long a client may read nothing.
const pollPatience = 30 * time.Second

// writable waits until the socket accepts bytes again.
func (s *Stream) writable() bool {
	fds := []unix.PollFd{{Fd: int32(s.FD), Events: unix.POLLOUT}}
	for {
		n, err := unix.Poll(fds, int(pollPatience/time.Millisecond))
		if !errors.Is(err, unix.EINTR) {
			return n > 0
		}
	}
}
