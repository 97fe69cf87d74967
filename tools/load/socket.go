package load

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// socket is a blocking connection. The kernel delivers its stamps like errors,
// and Go's own connections would treat them as failures.
type socket struct {
	fd      int
	written uint32 // bytes
	stamps  stamps
}

// dial connects. A receive buffer must be set before the socket has a window.
func dial(address string, receiveBuffer int, patience time.Duration) (*socket, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil || !to.Addr().Is4() {
		return nil, fmt.Errorf("address %q is not an IPv4 address and port", address)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open a socket: %w", err)
	}
	s := &socket{fd: fd}
	if receiveBuffer > 0 {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
	}
	timeout := unix.NsecToTimeval(int64(patience))
	err = errors.Join(err,
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &timeout),
		connect(fd, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())}),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPING, stampWrites),
	)
	if err != nil {
		_ = s.Close()
		return nil, fmt.Errorf("connect to %s: %w", address, err)
	}
	return s, nil
}

// connect waits for the connection. A signal of Go's scheduler can interrupt
// it: the connect then continues in the kernel, and must be waited for again.
func connect(fd int, to unix.Sockaddr) error {
	for {
		err := unix.Connect(fd, to)
		switch {
		case errors.Is(err, unix.EISCONN):
			return nil
		case !errors.Is(err, unix.EINTR):
			return err
		}
	}
}

// Write implements io.Writer.
func (s *socket) Write(p []byte) (done int, err error) {
	for done < len(p) {
		n, err := unix.Write(s.fd, p[done:])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return done, err
		}
		done += n
		s.written += uint32(n)
	}
	return done, nil
}

// Read implements io.Reader.
func (s *socket) Read(p []byte) (int, error) {
	for {
		n, err := unix.Read(s.fd, p)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return 0, errors.New("the server was silent for too long")
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		}
		return n, nil
	}
}

// Close closes the connection.
func (s *socket) Close() error { return unix.Close(s.fd) }
