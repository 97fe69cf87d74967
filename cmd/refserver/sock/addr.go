package sock

import (
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"
)

// parseAddr parses 127.0.0.1:8080, [::1]:8080, localhost:8080, :8080 or
// unix:/path into a socket address.
func parseAddr(s string) (unix.Sockaddr, error) {
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		if path == "" || len(path) > 107 {
			return nil, fmt.Errorf("address %q: the path of a unix socket has 1 to 107 bytes", s)
		}
		return &unix.SockaddrUnix{Name: path}, nil
	}
	literal := s
	if port, ok := strings.CutPrefix(s, "localhost:"); ok {
		literal = "127.0.0.1:" + port
	} else if strings.HasPrefix(s, ":") {
		literal = "0.0.0.0" + s
	}
	ap, err := netip.ParseAddrPort(literal)
	if err != nil {
		return nil, fmt.Errorf("address %q: write 127.0.0.1:8080, [::1]:8080 or unix:/path: %w", s, err)
	}
	if ap.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ap.Addr().As4()}, nil
	}
	return &unix.SockaddrInet6{Port: int(ap.Port()), Addr: ap.Addr().As16()}, nil
}

func family(sa unix.Sockaddr) int {
	switch sa.(type) {
	case *unix.SockaddrInet4:
		return unix.AF_INET
	case *unix.SockaddrInet6:
		return unix.AF_INET6
	}
	return unix.AF_UNIX
}

// addrPort returns the address and port of a TCP socket, zero for a unix
// socket.
func addrPort(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port))
	}
	return netip.AddrPort{}
}
