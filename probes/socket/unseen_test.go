package socket

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"lapwing/probes/socket/survey"
	"lapwing/probes/socket/wire"
)

// lines opens connections from the calling thread, and accepts them.
func lines(t *testing.T, l net.Listener, n int) []*line {
	all := make([]*line, n)
	for i := range all {
		all[i] = newLine(t, l)
	}
	return all
}

// requestsTo returns what was seen of requests to paths with this prefix.
func (s *seen) requestsTo(prefix string) (found []seenRequest) {
	for _, r := range s.finals() {
		if r.kind != wire.Call && strings.HasPrefix(r.head, "GET "+prefix) {
			found = append(found, r)
		}
	}
	return found
}

func (s *seen) ofKind(kind wire.Kind) (found []seenRequest) {
	for _, r := range s.requests {
		if r.kind == kind {
			found = append(found, r)
		}
	}
	return found
}

// TestOlderConnectionsOfOtherNamespaces checks that connections which are older than the
// agent, in a namespace other than its own, are seen from their next request on.
func TestOlderConnectionsOfOtherNamespaces(t *testing.T) {
	const connections, requests = 20, 3
	forEachPlan(t, func(t *testing.T, plan survey.Plan) {
		var older []*line
		inNamespace(t, func(string) {
			older = lines(t, listenTCP(t), connections)
			for _, l := range older {
				l.ask("/before")
				l.answer("/before")
			}
		})
		p := open(t, Options{Plan: plan})
		for range requests {
			for _, l := range older {
				l.ask("/after")
				l.answer("/after")
			}
		}
		got := &seen{}
		runOut(t, p, ours{got})
		found := got.requestsTo("/after")
		assert.Len(t, found, connections*requests)
		for _, r := range found {
			assert.Equal(t, older[0].server.LocalAddr().(*net.TCPAddr).Port, int(r.LocalPort))
			assert.NotZero(t, r.PeerPort)
		}
	})
}

// listenMPTCP returns a listening socket of Multipath TCP.
func listenMPTCP(t *testing.T) (fd int, address unix.Sockaddr) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_MPTCP)
	require.NoError(t, err)
	t.Cleanup(func() { _ = unix.Close(fd) })
	require.NoError(t, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(t, unix.Listen(fd, 64))
	address, err = unix.Getsockname(fd)
	require.NoError(t, err)
	return fd, address
}

// talk sends text from one end to the other, which reads all of it.
func talk(t *testing.T, from, to int, text string) {
	_, err := unix.Write(from, []byte(text))
	require.NoError(t, err)
	buf := make([]byte, len(text))
	for n := 0; n < len(buf); {
		got, err := unix.Read(to, buf[n:])
		require.NoError(t, err)
		require.NotZero(t, got)
		n += got
	}
	require.Equal(t, text, string(buf))
}

// TestMultipath checks that requests on MPTCP connections are seen, with all times.
func TestMultipath(t *testing.T) {
	const connections, requests, work = 10, 3, 20 * time.Millisecond
	for name, protocol := range map[string]int{"tcp": unix.IPPROTO_TCP, "mptcp": unix.IPPROTO_MPTCP} {
		t.Run("client "+name, func(t *testing.T) {
			forEachPlan(t, func(t *testing.T, plan survey.Plan) {
				p := open(t, Options{Plan: plan})
				listener, address := listenMPTCP(t)
				for range connections {
					client, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, protocol)
					require.NoError(t, err)
					require.NoError(t, unix.Connect(client, address))
					server, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
					require.NoError(t, err)
					for range requests {
						talk(t, client, server, lineRequest("/multipath"))
						time.Sleep(work)
						talk(t, server, client, lineResponse)
					}
					require.NoError(t, unix.Close(client))
					require.NoError(t, unix.Close(server))
				}
				// the kernel closes them gradually
				time.Sleep(100 * time.Millisecond)
				got := &seen{}
				runOut(t, p, ours{got})
				found := got.requestsTo("/multipath")
				assert.Len(t, found, connections*requests)
				for _, r := range found {
					assert.EqualValues(t, address.(*unix.SockaddrInet4).Port, r.LocalPort)
					assert.NotZero(t, r.PeerPort)
					assert.NotZero(t, r.Established)
					assert.NotZero(t, r.Accepted)
					if assert.NotZero(t, r.Arrived) {
						assert.LessOrEqual(t, r.Arrived, r.ReadFirst)
					}
					assert.GreaterOrEqual(t, r.WriteFirst, r.ReadLast+uint64(work))
					assert.LessOrEqual(t, r.WriteFirst, r.WriteLast)
				}
				assert.Empty(t, got.ofKind(wire.Abandoned))
			})
		})
	}
}

// TestFastOpen checks that a request that comes with the SYN is in the backlog from then
// on.
func TestFastOpen(t *testing.T) {
	const connections = 10
	const fastOpenServer, fastOpenClient, everywhere = 2, 1, 0x204 // no cookie needed
	forEachPlan(t, func(t *testing.T, plan survey.Plan) {
		p := open(t, Options{Plan: plan})
		inNamespace(t, func(string) {
			setting := fmt.Sprint(fastOpenServer | fastOpenClient | everywhere)
			require.NoError(t, os.WriteFile("/proc/sys/net/ipv4/tcp_fastopen", []byte(setting), 0o644))
			l := listenTCP(t)
			listener := descriptor(t, l)
			defer func() { _ = unix.Close(listener) }()
			require.NoError(t, unix.SetsockoptInt(listener, unix.IPPROTO_TCP, unix.TCP_FASTOPEN, 16))
			to := &unix.SockaddrInet4{Port: l.Addr().(*net.TCPAddr).Port, Addr: [4]byte{127, 0, 0, 1}}
			for range connections {
				client, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
				require.NoError(t, err)
				require.NoError(t, unix.Sendto(client, []byte(lineRequest("/fast")), unix.MSG_FASTOPEN, to))
				time.Sleep(5 * time.Millisecond)
				server, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
				require.NoError(t, err)
				_, err = unix.Read(server, make([]byte, 4096))
				require.NoError(t, err)
				talk(t, server, client, lineResponse)
				require.NoError(t, unix.Close(client))
				require.NoError(t, unix.Close(server))
			}
		})
		got := &seen{}
		runOut(t, p, ours{got})
		found := got.requestsTo("/fast")
		assert.Len(t, found, connections)
		for _, r := range found {
			assert.NotZero(t, r.Established)
			if assert.NotZero(t, r.Arrived) {
				assert.GreaterOrEqual(t, r.ReadFirst, r.Arrived+uint64(4*time.Millisecond))
			}
		}
		assert.Empty(t, got.ofKind(wire.Unknown))
	})
}

// TestAbandoned checks that connections that the server ends with unread bytes are
// distinguished from those that it ends properly.
func TestAbandoned(t *testing.T) {
	reset := func(t *testing.T, c net.Conn) {
		tcp, ok := c.(*net.TCPConn)
		require.True(t, ok)
		require.NoError(t, tcp.SetLinger(0))
		require.NoError(t, tcp.Close())
	}
	cases := []struct {
		name, network string
		play          func(t *testing.T, l net.Listener)
		want          []wire.Reason
		bytes         bool
	}{
		{"closed unread", "tcp", func(t *testing.T, l net.Listener) {
			c := newLine(t, l)
			c.ask("/x")
			time.Sleep(10 * time.Millisecond)
			require.NoError(t, c.server.Close())
		}, []wire.Reason{wire.AbandonedUnread}, true},
		{"kept connection closed with the next request unread", "tcp", func(t *testing.T, l net.Listener) {
			c := newLine(t, l)
			c.ask("/y")
			c.answer("/y")
			c.ask("/z")
			time.Sleep(10 * time.Millisecond)
			require.NoError(t, c.server.Close())
		}, []wire.Reason{wire.AbandonedUnread}, true},
		{"client resets before the read", "tcp", func(t *testing.T, l net.Listener) {
			c := newLine(t, l)
			c.ask("/x")
			reset(t, c.client)
			time.Sleep(10 * time.Millisecond)
			require.NoError(t, c.server.Close())
		}, []wire.Reason{wire.AbandonedReset}, true},
		{"listener closed, with bytes", "tcp", func(t *testing.T, l net.Listener) {
			c, err := net.Dial("tcp", l.Addr().String())
			require.NoError(t, err)
			_, err = io.WriteString(c, lineRequest("/x"))
			require.NoError(t, err)
			time.Sleep(10 * time.Millisecond)
			require.NoError(t, l.Close())
			require.NoError(t, c.Close())
		}, []wire.Reason{wire.AbandonedBacklog}, true},
		{"listener closed, without bytes", "tcp", func(t *testing.T, l net.Listener) {
			c, err := net.Dial("tcp", l.Addr().String())
			require.NoError(t, err)
			require.NoError(t, l.Close())
			require.NoError(t, c.Close())
		}, []wire.Reason{wire.AbandonedBacklog}, false},
		{"a probe of the port", "tcp", func(t *testing.T, l net.Listener) {
			c := newLine(t, l)
			require.NoError(t, c.client.Close())
			_, err := c.server.Read(make([]byte, 1))
			require.ErrorIs(t, err, io.EOF)
			require.NoError(t, c.server.Close())
		}, nil, false},
		{"an idle connection", "tcp", func(t *testing.T, l net.Listener) {
			c := newLine(t, l)
			c.ask("/y")
			c.answer("/y")
			require.NoError(t, c.server.Close())
		}, nil, false},
		{"an upload that was refused", "tcp", func(t *testing.T, l net.Listener) {
			c := newLine(t, l)
			head := "POST /up HTTP/1.1\r\nHost: h\r\nContent-Length: 5000\r\n\r\n"
			_, err := io.WriteString(c.client, head+strings.Repeat("b", 5000))
			require.NoError(t, err)
			_, err = io.ReadFull(c.server, make([]byte, len(head)))
			require.NoError(t, err)
			_, err = io.WriteString(c.server, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
			require.NoError(t, err)
			require.NoError(t, c.server.Close())
		}, nil, false},
		{"closed unread", "unix", func(t *testing.T, l net.Listener) {
			c := newLine(t, l)
			c.ask("/x")
			require.NoError(t, c.server.Close())
		}, []wire.Reason{wire.AbandonedUnread}, true},
		{"an idle connection", "unix", func(t *testing.T, l net.Listener) {
			c := newLine(t, l)
			c.ask("/y")
			c.answer("/y")
			require.NoError(t, c.server.Close())
		}, nil, false},
	}
	forEachPlan(t, func(t *testing.T, plan survey.Plan) {
		p := open(t, Options{Plan: plan})
		var at []string
		for _, c := range cases {
			l := listen(t, c.network)
			at = append(at, l.Addr().String())
			c.play(t, l)
		}
		time.Sleep(10 * time.Millisecond)
		got := byListener{}
		runOut(t, p, got)
		for i, c := range cases {
			t.Run(c.network+"/"+c.name, func(t *testing.T) {
				var reasons []wire.Reason
				for _, r := range got[at[i]] {
					reasons = append(reasons, wire.Reason(r.Error))
					assert.Equal(t, c.bytes, r.RequestBytes > 0)
					assert.Equal(t, c.bytes, r.Arrived != 0)
				}
				assert.Equal(t, c.want, reasons)
			})
		}
	})
}

// TestUnixCloseNotSeen closes a listener with a connection in its backlog through a call
// that has no hook. A sweep finds that. It must not take its own thread for the server's.
func TestUnixCloseNotSeen(t *testing.T) {
	forEachPlan(t, func(t *testing.T, plan survey.Plan) {
		p := open(t, Options{Plan: plan})
		path := filepath.Join(t.TempDir(), "s")
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		require.NoError(t, err)
		require.NoError(t, unix.Bind(fd, &unix.SockaddrUnix{Name: path}))
		require.NoError(t, unix.Listen(fd, 1))
		client, err := net.Dial("unix", path)
		require.NoError(t, err)
		defer client.Close()
		_, err = client.Write([]byte(lineRequest("/unseen")))
		require.NoError(t, err)
		require.NoError(t, unix.CloseRange(uint(fd), uint(fd), 0))
		require.NoError(t, p.gone.walk())
		got := byListener{}
		runOut(t, p, got)
		require.Len(t, got[path], 1)
		assert.Equal(t, uint16(wire.AbandonedBacklog), got[path][0].Error)
		assert.Zero(t, got[path][0].Pid)
	})
}

// byListener keeps what is seen of abandoned connections.
type byListener map[string][]wire.RecordFields

func (b byListener) HandleRecord(kind wire.Kind, r wire.Record) {
	address := string(r.Name())
	if !r.IsUnix() {
		address = fmt.Sprintf("127.0.0.1:%d", r.LocalPort)
	}
	address, _, _ = strings.Cut(address, "\x00")
	if kind == wire.Abandoned {
		b[address] = append(b[address], r.Fields())
	}
}
func (byListener) HandleEvent(wire.Event) {}
func (byListener) Tick(time.Time)         {}

// TestOtherTextProtocols checks that sessions of text protocols whose lines start like
// those of HTTP are recognized from their first line.
func TestOtherTextProtocols(t *testing.T) {
	sessions := map[string][]string{
		"redis": {"SET key value\r\n", "GET key\r\n", "DEL key\r\n"},
		"irc":   {"NICK someone\r\n", "JOIN #channel\r\n", "PRIVMSG #channel :GET / HTTP/1.1\r\n"},
		"rtsp":  {"OPTIONS rtsp://h/a RTSP/1.0\r\nCSeq: 1\r\n\r\n", "DESCRIBE rtsp://h/a RTSP/1.0\r\nCSeq: 2\r\n\r\n"},
		"sip":   {"OPTIONS sip:a@h SIP/2.0\r\nCSeq: 1\r\n\r\n"},
		"mail":  {"EHLO client\r\n", "DATA\r\n", "GET /mail HTTP/1.1\r\nHost: h\r\n\r\n.\r\n"},
	}
	forEachPlan(t, func(t *testing.T, plan survey.Plan) {
		for _, network := range []string{"tcp", "unix"} {
			p := open(t, Options{Plan: plan})
			l := listen(t, network)
			for _, commands := range sessions {
				c := newLine(t, l)
				for _, command := range commands {
					_, err := io.WriteString(c.client, command)
					require.NoError(t, err)
					_, err = io.ReadFull(c.server, make([]byte, len(command)))
					require.NoError(t, err)
					_, err = io.WriteString(c.server, "HTTP/1.1 400 Bad Request\r\n\r\n")
					require.NoError(t, err)
				}
				require.NoError(t, c.client.Close())
				require.NoError(t, c.server.Close())
			}
			got := &seen{}
			runOut(t, p, ours{got})
			assert.Len(t, got.ofKind(wire.Unknown), len(sessions), network)
			for _, r := range got.finals() {
				assert.Contains(t, []wire.Kind{wire.Unknown, wire.Call}, r.kind, "%s: %q", network, r.head)
			}
		}
	})
}

// TestFirstLinesOfRequests checks that lines of HTTP are recognized, whatever is around
// them.
func TestFirstLinesOfRequests(t *testing.T) {
	long := strings.Repeat("x", 300)
	heads := []string{
		"GET /line HTTP/1.1\r\nHost: h\r\n\r\n", "GET /line HTTP/1.0\n\n",
		"GET /line" + long + " HTTP/1.1\r\nHost: h\r\n\r\n", "M-SEARCH /line HTTP/1.1\r\nHost: h\r\n\r\n",
	}
	forEachPlan(t, func(t *testing.T, plan survey.Plan) {
		p := open(t, Options{Plan: plan})
		l := listen(t, "tcp")
		for _, head := range heads {
			c := newLine(t, l)
			_, err := io.WriteString(c.client, head)
			require.NoError(t, err)
			_, err = io.ReadFull(c.server, make([]byte, len(head)))
			require.NoError(t, err)
			_, err = io.WriteString(c.server, lineResponse)
			require.NoError(t, err)
			require.NoError(t, c.server.Close())
		}
		got := &seen{}
		runOut(t, p, ours{got})
		found := 0
		for _, r := range got.finals() {
			if r.kind != wire.Call && strings.Contains(r.head, "/line") {
				found++
			}
		}
		assert.Equal(t, len(heads), found)
		assert.Empty(t, got.ofKind(wire.Unknown))
	})
}

// heap keeps sockets open without a descriptor of their own: in transit from one end of a
// pair to the other.
type heap struct {
	t       *testing.T
	pair    [2]int
	waiting []int
}

func (h *heap) add(fds ...int) {
	const batch = 200 // one message takes 253
	if h.waiting = append(h.waiting, fds...); len(h.waiting) < batch {
		return
	}
	require.NoError(h.t, unix.Sendmsg(h.pair[0], []byte{0}, unix.UnixRights(h.waiting...), nil, 0))
	for _, fd := range h.waiting {
		require.NoError(h.t, unix.Close(fd))
	}
	h.waiting = nil
}

// TestManyUnixConnections checks that kept-alive connections on a unix socket are not
// evicted by newer ones.
func TestManyUnixConnections(t *testing.T) {
	const connections, asked = 18000, 1000
	forEachPlan(t, func(t *testing.T, plan survey.Plan) {
		p := open(t, Options{Plan: plan})
		address := &unix.SockaddrUnix{Name: filepath.Join(t.TempDir(), "kept")}
		listener, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		require.NoError(t, err)
		require.NoError(t, unix.Bind(listener, address))
		require.NoError(t, unix.Listen(listener, 128))
		kept := &heap{t: t}
		kept.pair, err = unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		require.NoError(t, err)
		open := append(kept.pair[:], listener)
		var ends [asked][2]int // of the oldest connections
		for i := range connections {
			client, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			require.NoError(t, err)
			require.NoError(t, unix.Connect(client, address))
			server, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
			require.NoError(t, err)
			if i < asked {
				ends[i] = [2]int{client, server}
				open = append(open, client, server)
			} else {
				kept.add(client, server)
			}
		}
		for _, end := range ends {
			talk(t, end[0], end[1], lineRequest("/kept"))
			talk(t, end[1], end[0], lineResponse)
		}
		stats, err := p.Stats()
		require.NoError(t, err)
		got := &seen{}
		runOut(t, p, ours{got})
		for _, fd := range append(open, kept.waiting...) {
			_ = unix.Close(fd)
		}
		found := len(got.requestsTo("/kept"))
		if !allocatesInProbes() { // fewer fit, and those that do not are counted
			assert.GreaterOrEqual(t, int(stats.LostTable), asked-found)
			return
		}
		assert.Equal(t, asked, found)
		assert.Zero(t, stats.LostTable)
	})
}
