package attack

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// moment limits every step of a conversation.
const moment = 500 * time.Millisecond

// says are what a client sends: complete, partial and false requests of several
// protocols.
var says = []func(*rand.Rand) string{
	func(*rand.Rand) string { return "G" },
	func(*rand.Rand) string { return "GET /ha" },
	func(*rand.Rand) string { return "GET / HTTP/1.1\r\nHost: h\r\n\r\n" },
	func(*rand.Rand) string { return strings.Repeat("GET /p HTTP/1.1\r\nHost: h\r\n\r\n", 20) },
	func(r *rand.Rand) string {
		return fmt.Sprintf("M%d /m HTTP/1.1\r\nHost: h\r\n\r\n", r.IntN(1e6))
	},
	func(*rand.Rand) string { return "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 999999999999\r\n\r\nx" },
	func(*rand.Rand) string {
		return "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\nx"
	},
	func(*rand.Rand) string {
		return "POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nabc"
	},
	func(*rand.Rand) string { return "GET /" + strings.Repeat("a", 64<<10) },
	func(*rand.Rand) string {
		return "GET /\x1b[2J\u202e HTTP/1.1\r\nHost: \xff\r\nUser-Agent: \u009b\r\n\r\n"
	},
	func(*rand.Rand) string { return "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00" },
	func(*rand.Rand) string {
		return "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + strings.Repeat("\x00", 160)
	},
	func(*rand.Rand) string {
		return "\x01\x01\x00\x01\x00\x08\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01\x04\x00\x01\xff\xff\xff\x00"
	},
	func(*rand.Rand) string { return "\x00\xff\xff\x00\x0c\x00QUERY_STRING" },
	func(*rand.Rand) string { return "9999999:CONTENT_LENGTH\x000\x00" },
	func(*rand.Rand) string { return "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nGET / HTTP/1.1\r\n\r\n" },
	func(*rand.Rand) string { return "\r\n\r\nGET x HTTP/9.9\r\n\r\n" },
	func(r *rand.Rand) string { return noise(r, 1+r.IntN(3000)) },
}

// answers are what a server sends back.
var answers = []func(*rand.Rand) string{
	func(*rand.Rand) string { return "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n" },
	func(*rand.Rand) string { return "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\nok" },
	func(*rand.Rand) string { return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7fffffff\r\nx" },
	func(*rand.Rand) string { return "HTTP/1.1 100 Continue\r\n\r\n" },
	func(*rand.Rand) string { return "HTTP/1.1 101 Switching Protocols\r\n\r\n\x81\x00" },
	func(*rand.Rand) string { return "HTTP/1.1 99999 \x1b[2J\r\n\r\n" },
	func(*rand.Rand) string { return "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n" },
	func(*rand.Rand) string { return "H" },
	func(*rand.Rand) string { return "" },
	func(r *rand.Rand) string { return noise(r, 1+r.IntN(3000)) },
	func(*rand.Rand) string { return "HTTP/1.0 200 OK\r\n\r\n" + strings.Repeat("x", 200<<10) },
}

func pick[T any](rng *rand.Rand, from []T) T { return from[rng.IntN(len(from))] }

// conn is a connection whose sides can be closed separately.
type conn interface {
	net.Conn
	CloseRead() error
	CloseWrite() error
}

var _, _ conn = (*net.TCPConn)(nil), (*net.UnixConn)(nil)

// part ends a connection in one of many ways, or only one side of it.
func part(rng *rand.Rand, c conn) {
	switch rng.IntN(6) {
	case 0:
		_ = c.CloseWrite()
	case 1:
		_ = c.CloseRead()
	case 2:
		reset(c)
	case 3:
		_, _ = c.Read(make([]byte, 1+rng.IntN(4096)))
	case 4:
		_, _ = io.Copy(io.Discard, io.LimitReader(c, 1<<20))
	}
	_ = c.Close()
}

// reset makes closing a TCP connection send a reset.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
}

// serve answers one connection.
func serve(rng *rand.Rand, c conn) {
	_ = c.SetDeadline(time.Now().Add(moment))
	for range 1 + rng.IntN(4) {
		if rng.IntN(4) > 0 {
			_, _ = c.Read(make([]byte, pick(rng, []int{1, 4, 8, 300, 8192})))
		}
		_, _ = io.WriteString(c, pick(rng, answers)(rng))
		if rng.IntN(3) == 0 {
			break
		}
	}
	part(rng, c)
}

// talk is the side of the client.
func talk(rng *rand.Rand, c conn) {
	_ = c.SetDeadline(time.Now().Add(moment))
	for range 1 + rng.IntN(3) {
		text := pick(rng, says)(rng)
		for rng.IntN(3) == 0 && len(text) > 1 { // in pieces
			n := 1 + rng.IntN(len(text)-1)
			_, _ = io.WriteString(c, text[:n])
			text = text[n:]
		}
		_, _ = io.WriteString(c, text)
	}
	part(rng, c)
}

// fastOpen sends the first bytes with the SYN, if the host allows it.
func fastOpen(rng *rand.Rand, port int) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer func() { _ = unix.Close(fd) }()
	wait := unix.NsecToTimeval(int64(moment))
	_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait)
	_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &wait)
	to := &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}
	_ = unix.Sendto(fd, []byte(pick(rng, says)(rng)), unix.MSG_FASTOPEN|unix.MSG_NOSIGNAL, to)
	if rng.IntN(2) == 0 {
		_, _ = unix.Read(fd, make([]byte, 4096))
	}
	_ = unix.Shutdown(fd, rng.IntN(3))
}
