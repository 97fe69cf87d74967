package sock

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"

	"lapwing/cmd/refserver/stamped"
)

// Conn is an accepted connection.
type Conn struct {
	FD       int
	Peer     netip.AddrPort // zero for a unix socket
	Accepted int64          // CLOCK_MONOTONIC nanoseconds when accept returned
}

// ErrNoConnection means that a non-blocking listener has no connection to
// accept.
var ErrNoConnection = errors.New("no connection is waiting")

// Accept waits for a connection and returns it as a blocking socket. The error
// is permanent.
func Accept(listener int) (Conn, error) {
	return accept(listener, unix.SOCK_CLOEXEC)
}

// AcceptNonblock returns a connection as a non-blocking socket, or
// ErrNoConnection.
func AcceptNonblock(listener int) (Conn, error) {
	return accept(listener, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
}

func accept(listener, flags int) (Conn, error) {
	for {
		conn, errno := accept4(listener, flags)
		switch errno {
		case 0:
			return conn, nil
		case unix.EINTR, unix.ECONNABORTED:
		case unix.EAGAIN:
			return Conn{}, ErrNoConnection
		case unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM:
			return Conn{}, fmt.Errorf("accept a connection: %w: raise the limit of open files (ulimit -n)", errno)
		default:
			return Conn{}, fmt.Errorf("accept a connection: %w", errno)
		}
	}
}

// accept4 is the system call. unix.Accept4 would add a getsockopt for each
// connection, to distinguish the kinds of addresses.
func accept4(listener, flags int) (Conn, unix.Errno) {
	var sa unix.RawSockaddrAny
	fd, returned, errno := stamped.Accept(listener, &sa, flags)
	if errno != 0 {
		return Conn{}, errno
	}
	return Conn{FD: fd, Accepted: returned, Peer: rawAddrPort(&sa)}, 0
}

func rawAddrPort(sa *unix.RawSockaddrAny) netip.AddrPort {
	switch sa.Addr.Family {
	case unix.AF_INET:
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		return netip.AddrPortFrom(netip.AddrFrom4(in.Addr), hostOrder(in.Port))
	case unix.AF_INET6:
		in := (*unix.RawSockaddrInet6)(unsafe.Pointer(sa))
		return netip.AddrPortFrom(netip.AddrFrom16(in.Addr).Unmap(), hostOrder(in.Port))
	}
	return netip.AddrPort{}
}

// hostOrder converts a port in network byte order to a number.
func hostOrder(port uint16) uint16 {
	return binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, port))
}
