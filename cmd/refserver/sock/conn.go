package sock

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"lapwing/cmd/refserver/clock"
	"lapwing/cmd/refserver/stamped"
)

// ErrTimeout means that the peer was silent for longer than the socket's
// timeout.
var ErrTimeout = errors.New("the peer was silent for too long")

// Read reads once, and returns when the call returned, in nanoseconds of
// CLOCK_MONOTONIC. It returns 0 at the end of the stream, and ErrTimeout after
// the receive timeout.
func Read(fd int, p []byte) (n int, returned int64, err error) {
	for {
		n, returned, err := stamped.Read(fd, p)
		switch {
		case err == nil:
			return n, returned, nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			return 0, returned, ErrTimeout
		default:
			return 0, returned, err
		}
	}
}

// SetReadTimeout makes reads time out after d; 0 means never.
func SetReadTimeout(fd int, d time.Duration) error {
	tv := unix.NsecToTimeval(int64(d))
	return unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv)
}

// Dial connects to an address as for Listen. Reads and writes on the socket,
// which blocks, time out after timeout.
func Dial(address string, timeout time.Duration) (int, error) {
	sa, err := parseAddr(address)
	if err != nil {
		return -1, err
	}
	fd, err := unix.Socket(family(sa), unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open a socket for %s: %w", address, err)
	}
	tv := unix.NsecToTimeval(int64(timeout))
	if err := errors.Join(
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &tv), // also limits connect
	); err != nil {
		Close(fd)
		return -1, fmt.Errorf("bound the time of calls to %s: %w", address, err)
	}
	if err := unix.Connect(fd, sa); err != nil {
		Close(fd)
		return -1, fmt.Errorf("connect to %s: %w", address, err)
	}
	return fd, nil
}

// DialNonblock starts to connect a non-blocking socket. When it becomes
// writable, ConnectError returns the result.
func DialNonblock(address string) (int, error) {
	sa, err := parseAddr(address)
	if err != nil {
		return -1, err
	}
	fd, err := unix.Socket(family(sa), unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, fmt.Errorf("open a socket for %s: %w", address, err)
	}
	if err := unix.Connect(fd, sa); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		Close(fd)
		return -1, fmt.Errorf("connect to %s: %w", address, err)
	}
	return fd, nil
}

// ConnectError returns the error of a connect, nil if it succeeded.
func ConnectError(fd int) error {
	errno, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return err
	}
	if errno != 0 {
		return unix.Errno(errno)
	}
	return nil
}

// Close closes a descriptor. Nothing can be done about an error.
func Close(fd int) { _ = unix.Close(fd) }

// CloseLingering closes a connection on which the client may still be sending.
// Closing at once would reset it, and the client might never see the response.
// So this ends the response and continues to read for at most patience.
func CloseLingering(fd int, patience time.Duration) {
	defer Close(fd)
	if unix.Shutdown(fd, unix.SHUT_WR) != nil || SetReadTimeout(fd, patience) != nil {
		return
	}
	var scratch [16 << 10]byte
	for end := clock.Now() + int64(patience); clock.Now() < end; {
		if n, _, err := Read(fd, scratch[:]); n == 0 || err != nil {
			return
		}
	}
}
