package socket

import (
	"fmt"
	"net"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"lapwing/probes/socket/snapshot"
	"lapwing/probes/socket/survey"
	"lapwing/probes/socket/wire"
)

// blockingServer serves with one thread that makes plain blocking calls, one step at a
// time. Its thread id is tid.
type blockingServer struct {
	t        *testing.T
	address  string
	network  string
	listener int
	tid      uint32
	steps    chan func()
	conn     int
}

func startBlocking(t *testing.T, network string) *blockingServer {
	s := &blockingServer{t: t, network: network, steps: make(chan func(), 8), conn: -1}
	s.listen()
	ready := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		s.tid = uint32(unix.Gettid())
		close(ready)
		for step := range s.steps {
			step()
		}
	}()
	<-ready
	t.Cleanup(func() {
		close(s.steps)
		_ = unix.Close(s.listener)
	})
	return s
}

func (s *blockingServer) listen() {
	family, address := unix.AF_INET, unix.Sockaddr(&unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	if s.network == "unix" {
		s.address = filepath.Join(s.t.TempDir(), "s")
		family, address = unix.AF_UNIX, &unix.SockaddrUnix{Name: s.address}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(s.t, err)
	require.NoError(s.t, unix.Bind(fd, address))
	require.NoError(s.t, unix.Listen(fd, 7))
	s.listener = fd
	if s.network == "tcp" {
		name, err := unix.Getsockname(fd)
		require.NoError(s.t, err)
		s.address = fmt.Sprintf("127.0.0.1:%d", name.(*unix.SockaddrInet4).Port)
	}
}

func (s *blockingServer) accept() { s.conn, _, _ = unix.Accept4(s.listener, unix.SOCK_CLOEXEC) }

func (s *blockingServer) read() { _, _ = unix.Read(s.conn, make([]byte, 4096)) }

func (s *blockingServer) poll() {
	_, _ = unix.Poll([]unix.PollFd{{Fd: int32(s.conn), Events: unix.POLLIN}}, -1)
}

func (s *blockingServer) write(text string) { _, _ = unix.Write(s.conn, []byte(text)) }

func (s *blockingServer) dial() net.Conn {
	c, err := net.Dial(s.network, s.address)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}

// conns returns the connections of this process that a snapshot shows.
func (s *blockingServer) conns(p *Probe) []snapshot.Conn {
	var snap snapshot.Snapshot
	require.NoError(s.t, p.SnapConns(&snap))
	var own []snapshot.Conn
	for _, c := range snap.Conns {
		if s.network == "unix" && string(c.Record.Name()) == s.address+"\x00" ||
			s.network == "tcp" && s.address == fmt.Sprintf("127.0.0.1:%d", c.Record.LocalPort) {
			own = append(own, c)
		}
	}
	return own
}

func (s *blockingServer) eventually(what string, check func() bool) {
	s.t.Helper()
	require.Eventually(s.t, check, 5*time.Second, 5*time.Millisecond, what)
}

// awaitWork waits until the request of the only connection that is shown has got that
// far.
func (s *blockingServer) awaitWork(p *Probe, w snapshot.Work) (c snapshot.Conn) {
	s.t.Helper()
	s.eventually(fmt.Sprintf("work %d", w), func() bool {
		conns := s.conns(p)
		if len(conns) != 1 {
			return false
		}
		c = conns[0]
		return c.Work() == w
	})
	return c
}

func (s *blockingServer) listening(p *Probe) (snapshot.Listener, []snapshot.Waiter) {
	var snap snapshot.Snapshot
	require.NoError(s.t, p.SnapFiles(&snap, false))
	var l snapshot.Listener
	for _, l = range snap.Listeners {
		if l.IsUnix() && string(l.Unix) == s.address+"\x00" || l.Address.String() == s.address {
			break
		}
	}
	var waiters []snapshot.Waiter
	for _, w := range snap.Waiters {
		if w.Socket == l.Socket {
			waiters = append(waiters, w)
		}
	}
	return l, waiters
}

// TestSnapshotFollowsARequest looks at a connection at each step of a request.
func TestSnapshotFollowsARequest(t *testing.T) {
	forEachPlan(t, func(t *testing.T, plan survey.Plan) {
		for _, network := range []string{"tcp", "unix"} {
			t.Run(network, func(t *testing.T) {
				p, err := Open(Options{Plan: plan, Snapshots: true})
				require.NoError(t, err)
				defer p.Close()
				require.True(t, p.Snapshots())
				followRequest(t, startBlocking(t, network), p)
			})
		}
	})
}

func followRequest(t *testing.T, s *blockingServer, p *Probe) {
	pid := uint32(unix.Getpid())
	s.steps <- s.accept
	s.eventually("the thread waits in accept", func() bool {
		_, w := s.listening(p)
		return len(w) == 1 && w[0].TID == s.tid && w[0].PID == pid && w[0].How == snapshot.WaitCall
	})
	client := s.dial()
	s.steps <- s.read
	c := s.awaitWork(p, snapshot.WorkNone) // silent since it was opened
	gotPID, gotTID, blocked := c.Blocked()
	assert.True(t, blocked)
	assert.Equal(t, pid, gotPID)
	assert.Equal(t, s.tid, gotTID)

	began := make(chan struct{})
	s.steps <- func() { close(began); s.read() }
	_, err := client.Write([]byte("GET /a HTTP/1.1\r\n"))
	require.NoError(t, err)
	<-began
	c = s.awaitWork(p, snapshot.WorkReading)
	assert.Equal(t, s.tid, c.Record.Tid)

	_, err = client.Write([]byte("\r\n"))
	require.NoError(t, err)
	c = s.awaitWork(p, snapshot.WorkComputing)
	assert.Equal(t, "GET /a HTTP/1.1\r\n\r\n", string(c.Record.RequestHead()))
	assert.Greater(t, c.Now, c.Record.ReadFirst)

	const response = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
	s.steps <- func() { s.write(response) }
	c = s.awaitWork(p, snapshot.WorkResponding) // from the entry of the write on
	s.eventually("the response's head is known", func() bool {
		conns := s.conns(p)
		return len(conns) == 1 && conns[0].Record.Out.Status == 200 && int(conns[0].Record.OutHead) == len(response) &&
			conns[0].Record.ResponseEnd() == wire.EndOpen
	})

	s.steps <- func() { s.write("ok") }
	s.steps <- s.poll // kept alive
	s.eventually("the thread waits in poll", func() bool {
		conns := s.conns(p)
		if len(conns) != 1 {
			return false
		}
		_, tid, ok := conns[0].Blocked()
		return ok && tid == s.tid && snapshot.WaitHow(conns[0].WaiterHow) == snapshot.WaitPoll
	})
	require.NoError(t, client.Close())
}

// TestSnapshotCountsTheBacklog connects more clients than are accepted.
func TestSnapshotCountsTheBacklog(t *testing.T) {
	forEachPlan(t, func(t *testing.T, plan survey.Plan) {
		for _, network := range []string{"tcp", "unix"} {
			t.Run(network, func(t *testing.T) {
				p, err := Open(Options{Plan: plan, Snapshots: true})
				require.NoError(t, err)
				defer p.Close()
				s := startBlocking(t, network)
				for range 5 {
					s.dial()
				}
				l, waiters := s.listening(p)
				assert.Equal(t, 5, l.Len)
				assert.Equal(t, 7, l.Limit)
				assert.Equal(t, uint32(unix.Getpid()), l.PID)
				assert.Empty(t, waiters)
				assert.Empty(t, s.conns(p), "nothing was accepted")
			})
		}
	})
}

// TestSnapshotOfWhatWasThereBefore opens the probes while a request is in
// progress.
func TestSnapshotOfWhatWasThereBefore(t *testing.T) {
	forEachPlan(t, func(t *testing.T, plan survey.Plan) {
		for _, network := range []string{"tcp", "unix"} {
			t.Run(network, func(t *testing.T) {
				s := startBlocking(t, network)
				s.steps <- s.accept
				read := make(chan struct{})
				s.steps <- func() { s.read(); close(read) }
				_, err := s.dial().Write([]byte("GET / HTTP/1.1\r\n\r\n"))
				require.NoError(t, err)
				<-read
				p, err := Open(Options{Plan: plan, Snapshots: true})
				require.NoError(t, err)
				defer p.Close()
				c := s.awaitWork(p, snapshot.WorkEarlier)
				var snap snapshot.Snapshot
				require.NoError(t, p.SnapFiles(&snap, true))
				assert.Contains(t, snap.Holders, snapshot.Holder{PID: uint32(unix.Getpid()), Socket: c.Record.Sk})
				s.steps <- func() { s.write("HTTP/1.1 204 No Content\r\n\r\n") }
				s.eventually("it is answered", func() bool {
					conns := s.conns(p)
					return len(conns) == 0 || conns[0].Work() == snapshot.WorkNone
				})
			})
		}
	})
}
