package sock

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Listener is a listening socket.
type Listener struct {
	FD   int
	addr string
	path string // of a unix socket; Close removes the file
}

// Listen binds a blocking listening socket to an address such as
// 127.0.0.1:8080, [::1]:8080 or unix:/path. Port 0 selects a free port. A unix
// socket on which no process listens any more is replaced.
func Listen(address string, backlog int) (*Listener, error) {
	sa, err := parseAddr(address)
	if err != nil {
		return nil, err
	}
	if un, ok := sa.(*unix.SockaddrUnix); ok {
		removeStale(un)
	}
	fd, err := unix.Socket(family(sa), unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open a socket for %s: %w", address, err)
	}
	l := &Listener{FD: fd, addr: address}
	if err := l.bind(sa, backlog); err != nil {
		Close(fd)
		return nil, explain(address, err)
	}
	return l, nil
}

func (l *Listener) bind(sa unix.Sockaddr, backlog int) error {
	if un, ok := sa.(*unix.SockaddrUnix); ok {
		if err := unix.Bind(l.FD, sa); err != nil {
			return err
		}
		l.path = un.Name
		return unix.Listen(l.FD, backlog)
	}
	// Accepted sockets inherit TCP_NODELAY. Without it, the second small write
	// of a response waits for the delayed ACK of the client.
	if err := errors.Join(
		unix.SetsockoptInt(l.FD, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
		unix.SetsockoptInt(l.FD, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
	); err != nil {
		return err
	}
	if err := unix.Bind(l.FD, sa); err != nil {
		return err
	}
	if err := unix.Listen(l.FD, backlog); err != nil {
		return err
	}
	bound, err := unix.Getsockname(l.FD)
	if err != nil {
		return err
	}
	l.addr = addrPort(bound).String()
	return nil
}

// explain adds to an error of bind what the user can do about it.
func explain(address string, err error) error {
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return fmt.Errorf("listen on %s: %w: another process listens there, choose another with --listen", address, err)
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("listen on %s: %w: choose a port above 1023 or a directory you may write to", address, err)
	}
	return fmt.Errorf("listen on %s: %w", address, err)
}

// removeStale removes a unix socket that a killed server left.
func removeStale(sa *unix.SockaddrUnix) {
	info, err := os.Lstat(sa.Name)
	if err != nil || info.Mode().Type() != os.ModeSocket {
		return
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer Close(fd)
	if errors.Is(unix.Connect(fd, sa), unix.ECONNREFUSED) {
		// If this fails, bind fails with a better message.
		_ = os.Remove(sa.Name)
	}
}

// Addr returns the address of the socket, in the form that Listen accepts, with
// the port that the kernel chose.
func (l *Listener) Addr() string {
	if l.path != "" && !strings.HasPrefix(l.addr, "unix:") {
		return "unix:" + l.path
	}
	return l.addr
}

// Close closes the socket and removes the file of a unix socket.
func (l *Listener) Close() {
	Close(l.FD)
	l.Remove()
}

// Remove removes the file of a unix socket.
func (l *Listener) Remove() {
	if l.path != "" {
		// The file may already be gone, and is no longer needed.
		_ = os.Remove(l.path)
	}
}
