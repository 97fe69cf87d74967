package socket

import (
	"context"
	"io"
	"math"
	"net"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// line is a connection of which the test has both ends: the server reads when
// it is told to.
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

// answer reads the request, no byte more, and answers it.
func (l *line) answer(path string) {
	_, err := io.ReadFull(l.server, make([]byte, len(lineRequest(path))))
	require.NoError(l.t, err)
	_, err = io.WriteString(l.server, lineResponse)
	require.NoError(l.t, err)
	_, err = io.ReadFull(l.client, make([]byte, len(lineResponse)))
	require.NoError(l.t, err)
}

// arrivalHook is the hook that sees bytes arrive on such a connection.
func arrivalHook(p *Probe, network string) hook {
	used := func(h hook) bool {
		if network == "tcp" {
			return h.program == "tcp_segment"
		}
		return (h.program == "data_ready" || h.program == "readable") && p.coll.Programs[h.program] != nil
	}
	hooks := hooksOf(p.plan.Plan)
	return hooks[slices.IndexFunc(hooks, used)]
}

// detachOne takes one program off its hook, as if the kernel skipped its runs.
func detachOne(t *testing.T, p *Probe, prog *ebpf.Program) {
	want, err := prog.Info()
	require.NoError(t, err)
	id, _ := want.ID()
	at := slices.IndexFunc(p.links, func(l link.Link) bool {
		info, err := l.Info()
		return err == nil && info.Program == id
	})
	require.GreaterOrEqual(t, at, 0, "not attached")
	require.NoError(t, p.links[at].Close())
	p.links = slices.Delete(p.links, at, at+1)
}

// An arrival that no program saw is absent: the one before it is another
// request's. On unix sockets it is one whose bytes are read at once: the reader
// can be faster than the program.
func TestMissedArrivalIsAbsent(t *testing.T) {
	forEachPlan(t, func(t *testing.T, plan Plan) {
		for _, network := range []string{"tcp", "unix"} {
			t.Run(network, func(t *testing.T) { missArrivals(t, plan, network) })
		}
	})
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

// openLine opens the probes and a connection under their eyes.
func openLine(t *testing.T, plan Plan, network string) (*Probe, *line, *seen) {
	listener := listen(t, network)
	opts, got := Options{Plan: plan, RingBytes: 32 << 20}, &seen{}
	if tcp, ok := listener.Addr().(*net.TCPAddr); ok {
		got.port = uint16(tcp.Port)
		opts.Ports = []uint16{got.port}
	}
	p := open(t, opts)
	return p, newLine(t, listener), got
}

// runOut hands over all that the probes have.
func runOut(t *testing.T, p *Probe, to Handler) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, p.Run(ended, to))
}

func missArrivals(t *testing.T, plan Plan, network string) {
	p, l, got := openLine(t, plan, network)
	hook := arrivalHook(p, network)
	prog := p.coll.Programs[hook.program]
	l.ask("/seen")
	l.answer("/seen")
	detachOne(t, p, prog)
	l.ask("/missed")
	l.answer("/missed")
	paths := []string{"/seen", "/missed", "/behind", "/after"}
	if network == "tcp" {
		l.ask("/missed-unread")
		paths = append(paths, "/missed-unread")
	}
	again, err := attachOne(hook.name, prog)
	require.NoError(t, err)
	p.links = append(p.links, again)
	behind := monotonic()
	l.ask("/behind")
	if network == "tcp" {
		l.answer("/missed-unread")
	}
	l.answer("/behind")
	after := monotonic()
	l.ask("/after")
	l.answer("/after")
	require.NoError(t, l.client.Close())

	runOut(t, p, got)
	arrived := map[string]uint64{}
	for _, path := range paths {
		r, ok := got.last(path)
		require.True(t, ok, path)
		arrived[path] = r.Arrived
		if r.Arrived != 0 {
			assert.LessOrEqual(t, r.Arrived, r.ReadFirst, path)
		}
		pipelined := network == "tcp" && path == "/behind"
		assert.Equal(t, pipelined, r.Marks&MarkPipelined != 0, path)
	}
	assert.NotZero(t, arrived["/seen"])
	assert.Zero(t, arrived["/missed"])
	assert.Zero(t, arrived["/missed-unread"])
	assert.Greater(t, arrived["/behind"], behind)
	assert.Greater(t, arrived["/after"], after)
}

// descriptor is another one of a connection, on which calls block. The caller
// closes it.
func descriptor(t *testing.T, c net.Conn) int {
	raw, err := c.(syscall.Conn).SyscallConn()
	require.NoError(t, err)
	fd := -1
	require.NoError(t, raw.Control(func(own uintptr) { fd, err = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0) }))
	require.NoError(t, err)
	require.NoError(t, unix.SetNonblock(fd, false))
	return fd
}

// echo answers whatever it reads, until the end.
func echo(fd int) {
	defer func() { _ = unix.Close(fd) }()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	buf := make([]byte, 4096)
	for {
		if n, err := unix.Read(fd, buf); n <= 0 || err != nil {
			return
		}
		if _, err := unix.Write(fd, []byte(lineResponse)); err != nil {
			return
		}
	}
}

// pingPong sends requests one after the other, as fast as answers come, and
// returns when each was sent: no sooner it can have arrived.
func pingPong(l *line, requests int) (sent []uint64) {
	client := descriptor(l.t, l.client)
	go echo(descriptor(l.t, l.server))
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	request, answer := []byte(lineRequest("/ping")), make([]byte, 4096)
	for range requests {
		sent = append(sent, monotonic())
		_, err := unix.Write(client, request)
		require.NoError(l.t, err)
		n, err := unix.Read(client, answer)
		require.NoError(l.t, err)
		require.Len(l.t, lineResponse, n)
	}
	require.NoError(l.t, unix.Shutdown(client, unix.SHUT_RDWR))
	require.NoError(l.t, unix.Close(client))
	return sent
}

// Where both ends are busy on processors of their own, the reader is faster
// now and then than the program that is told of the arrival.
func TestArrivalsOfFastClient(t *testing.T) {
	const requests = 10000

	forEachPlan(t, func(t *testing.T, plan Plan) {
		for _, network := range []string{"tcp", "unix"} {
			t.Run(network, func(t *testing.T) {
				p, l, got := openLine(t, plan, network)
				sent := pingPong(l, requests)
				runOut(t, p, got)
				absent := 0
				for _, r := range got.finals() {
					if !strings.HasPrefix(r.head, "GET /ping ") {
						continue
					}
					require.LessOrEqual(t, int(r.Seq), requests)
					if r.Arrived == 0 {
						absent++
						continue
					}
					require.GreaterOrEqual(t, r.Arrived, sent[r.Seq-1], "request %d arrived before it was sent", r.Seq)
					require.LessOrEqual(t, r.Arrived, r.ReadFirst, "request %d", r.Seq)
					sent[r.Seq-1] = math.MaxUint64
				}
				reported := 0
				for _, at := range sent {
					if at == math.MaxUint64 {
						reported++
					}
				}
				assert.Equal(t, requests, reported+absent)
				assert.Less(t, absent, requests/100)
			})
		}
	})
}
