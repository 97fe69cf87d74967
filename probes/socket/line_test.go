package socket

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"lapwing/probes/socket/wire"
)

// line is a connection of which the test has both ends. The server reads on demand.
type line struct {
	t                   *testing.T
	client, server      net.Conn
	connected, accepted span
}

func newLine(t *testing.T, l net.Listener) *line {
	var err error
	line := &line{t: t}
	line.connected.before = monotonic()
	line.client, err = net.Dial(l.Addr().Network(), l.Addr().String())
	line.connected.after = monotonic()
	require.NoError(t, err)
	t.Cleanup(func() { _ = line.client.Close() })
	line.accepted.before = monotonic()
	line.server, err = l.Accept()
	line.accepted.after = monotonic()
	require.NoError(t, err)
	t.Cleanup(func() { _ = line.server.Close() })
	return line
}

func lineRequest(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: test\r\n\r\n" }

func (l *line) ask(path string) {
	_, err := io.WriteString(l.client, lineRequest(path))
	require.NoError(l.t, err)
}

const lineResponse = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

// answer reads exactly the request and answers it.
func (l *line) answer(path string) {
	_, err := io.ReadFull(l.server, make([]byte, len(lineRequest(path))))
	require.NoError(l.t, err)
	_, err = io.WriteString(l.server, lineResponse)
	require.NoError(l.t, err)
	_, err = io.ReadFull(l.client, make([]byte, len(lineResponse)))
	require.NoError(l.t, err)
}

// descriptor returns another descriptor of a connection or listener, on which calls
// block. The caller closes it.
func descriptor(t *testing.T, c any) int {
	raw, err := c.(syscall.Conn).SyscallConn()
	require.NoError(t, err)
	fd := -1
	require.NoError(t, raw.Control(func(own uintptr) { fd, err = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0) }))
	require.NoError(t, err)
	require.NoError(t, unix.SetNonblock(fd, false))
	return fd
}

func listen(t *testing.T, network string) net.Listener {
	address := map[string]string{"tcp": "127.0.0.1:0", "tcp4": "127.0.0.1:0", "tcp6": "[::1]:0", "unix": filepath.Join(t.TempDir(), "s")}
	listener, err := net.Listen(network, address[network])
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}

func open(t *testing.T, opts Options) *Probe {
	p, err := Open(opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

// runOut hands over everything that the probes have.
func runOut(t *testing.T, p *Probe, to Handler) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, p.Run(ended, to))
}

// ours keeps what is seen of this process, at both ends of its connections: it is a
// server, so its own requests are calls.
type ours struct{ *seen }

func (o ours) HandleRecord(kind wire.Kind, r wire.Record) {
	if r.Pid == uint32(os.Getpid()) {
		o.port = r.LocalPort
		o.seen.HandleRecord(kind, r)
	}
}
