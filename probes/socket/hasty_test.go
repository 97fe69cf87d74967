package socket

import (
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"lapwing/probes/socket/survey"
	"lapwing/probes/socket/wire"
)

// serveOnce answers one request on each connection, and closes it.
func serveOnce(listener int) {
	defer func() { _ = unix.Close(listener) }()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	buf := make([]byte, 4096)
	for {
		fd, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
		if err != nil {
			return
		}
		if n, err := unix.Read(fd, buf); n > 0 && err == nil {
			_, _ = unix.Write(fd, []byte(lineResponse))
		}
		_ = unix.Close(fd)
	}
}

// hasty sends each request on a connection of its own, polls for the answer without
// pause, and closes as soon as it has it. It returns how many requests it sent.
func hasty(t *testing.T, network string, requests int) (asked int) {
	listener := listen(t, network)
	fd := descriptor(t, listener)
	go serveOnce(fd)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for begin := time.Now(); asked < requests && time.Since(begin) < pingPongTime; asked++ {
		askHastily(t, listener.Addr())
	}
	require.NoError(t, unix.Shutdown(fd, unix.SHUT_RDWR))
	return asked
}

func askHastily(t *testing.T, to net.Addr) {
	family, address := unix.AF_UNIX, unix.Sockaddr(&unix.SockaddrUnix{Name: to.String()})
	if tcp, ok := to.(*net.TCPAddr); ok {
		family, address = unix.AF_INET, &unix.SockaddrInet4{Port: tcp.Port, Addr: [4]byte(tcp.IP.To4())}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	defer func() { _ = unix.Close(fd) }()
	require.NoError(t, unix.Connect(fd, address))
	_, err = unix.Write(fd, []byte(lineRequest("/"+to.Network())))
	require.NoError(t, err)
	var answer [len(lineResponse)]byte
	for n := -1; n < 0; {
		if n, _, err = unix.Recvfrom(fd, answer[:], unix.MSG_DONTWAIT); err != unix.EAGAIN {
			require.NoError(t, err)
		}
	}
}

// TestClientIsGoneWithTheAnswer checks that a client can have the answer, and be gone,
// before the kernel reports that it was sent.
func TestClientIsGoneWithTheAnswer(t *testing.T) {
	const requests = 5000

	forEachPlan(t, func(t *testing.T, plan survey.Plan) {
		p := open(t, Options{Plan: plan, RingBytes: 32 << 20})
		asked := map[string]int{"tcp": hasty(t, "tcp", requests), "unix": hasty(t, "unix", requests)}
		got := &seen{}
		runOut(t, p, ours{got})
		for network, asked := range asked {
			t.Run(network, func(t *testing.T) { got.answered(t, "/"+network, asked) })
		}
	})
}

// answered checks the stamps of each request for a path.
func (s *seen) answered(t *testing.T, path string, asked int) {
	reported, absent, silent := 0, 0, 0
	for _, r := range s.finals() {
		if r.kind == wire.Call || !strings.HasPrefix(r.head, "GET "+path+" ") {
			continue
		}
		reported++
		if r.Arrived == 0 {
			absent++
		}
		if r.WriteFirst == 0 {
			silent++
		} else {
			assert.LessOrEqual(t, r.ReadLast, r.WriteFirst)
			assert.LessOrEqual(t, r.WriteFirst, r.WriteLast)
		}
	}
	t.Logf("%d requests, %d without arrival, %d without begin of the answer", reported, absent, silent)
	assert.Equal(t, asked, reported)
	assert.LessOrEqual(t, silent, 1, "the element of a connection that was looked at can become another's")
	assert.Less(t, absent, 1+asked/100)
}
