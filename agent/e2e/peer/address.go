package peer

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Family is the address family of a connection.
type Family string

// The families that the agent supports.
const (
	TCP4 Family = "tcp4"
	TCP6 Family = "tcp6"
	Unix Family = "unix"

	// Mapped is an IPv4 client of an IPv6 server socket.
	Mapped Family = "mapped"
)

// Families are those for which every case is played.
var Families = []Family{TCP4, TCP6, Unix}

// Address is the address on which a server listens.
type Address struct {
	Family Family
	Port   uint16 // of the loopback address
	Path   string // of a unix socket
}

// String is the address as the agent's records show it.
func (a Address) String() string {
	switch a.Family {
	case Unix:
		return "unix:" + a.Path
	case TCP6:
		return fmt.Sprintf("[::1]:%d", a.Port)
	}
	return fmt.Sprintf("127.0.0.1:%d", a.Port)
}

// bindTo returns the address that the server's socket is bound to.
func (a Address) bindTo() unix.Sockaddr {
	if a.Family == Mapped {
		loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1})
		return &unix.SockaddrInet6{Port: int(a.Port), Addr: loopback.As16()}
	}
	return a.sockaddr()
}

func (a Address) sockaddr() unix.Sockaddr {
	switch a.Family {
	case Unix:
		return &unix.SockaddrUnix{Name: a.Path}
	case TCP6:
		return &unix.SockaddrInet6{Port: int(a.Port), Addr: netip.IPv6Loopback().As16()}
	}
	return &unix.SockaddrInet4{Port: int(a.Port), Addr: [4]byte{127, 0, 0, 1}}
}

// socket creates the socket of a client or of a server.
func (a Address) socket(server bool) (int, error) {
	domain := unix.AF_INET
	switch {
	case a.Family == Unix:
		domain = unix.AF_UNIX
	case a.Family == TCP6, a.Family == Mapped && server:
		domain = unix.AF_INET6
	}
	return unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
}

// Listener is a listening socket that a server process inherits.
type Listener struct {
	Address Address
	file    *os.File
}

// given holds the ports that Listen gave out.
var given sync.Map

// Listen opens a listening socket on a new path, or on a free loopback port
// that it has not given out before, because the output of an agent is assigned
// to listeners by address. The socket is closed when the test ends.
func Listen(t testing.TB, family Family, backlog int) *Listener {
	t.Helper()
	a := Address{Family: family}
	if family == Unix {
		a.Path = filepath.Join(shortTempDir(t), "s")
	}
	for {
		l := a.open(t, backlog)
		if family == Unix {
			return l
		}
		if _, again := given.LoadOrStore(l.Address.Port, true); !again {
			return l
		} // kept open, so that the next port is a different one
	}
}

// open listens on a port that the kernel chooses.
func (a Address) open(t testing.TB, backlog int) *Listener {
	t.Helper()
	fd, err := a.listen(backlog)
	require.NoError(t, err, "listen on %s", a.Family)
	l := &Listener{Address: a, file: os.NewFile(uintptr(fd), "listener")}
	t.Cleanup(func() { _ = l.file.Close() })
	if a.Family == Unix {
		return l
	}
	local, err := unix.Getsockname(fd)
	require.NoError(t, err, "name of the listening socket")
	l.Address.Port = sockaddrPort(local)
	return l
}

func (a Address) listen(backlog int) (int, error) {
	if backlog == 0 {
		backlog = 128
	}
	fd, err := a.socket(true)
	if err != nil {
		return -1, err
	}
	if err := unix.Bind(fd, a.bindTo()); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	if err := unix.Listen(fd, backlog); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// shortTempDir returns a directory whose name fits into the address of a unix
// socket. The name of t.TempDir can be too long.
func shortTempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "lw")
	require.NoError(t, err, "directory for a unix socket")
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func sockaddrPort(sa unix.Sockaddr) uint16 {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return uint16(sa.Port)
	case *unix.SockaddrInet6:
		return uint16(sa.Port)
	}
	return 0
}

// localName returns the local address of a connected socket, as the agent shows
// the peer of its other end. It is empty for a unix socket without a name.
func localName(fd int) string {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return ""
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port)).String()
	case *unix.SockaddrInet6:
		return net.JoinHostPort(netip.AddrFrom16(sa.Addr).String(), fmt.Sprint(sa.Port))
	}
	return ""
}
