package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestReaderQueue checks where requests wait when all workers are busy: after
// they were read, in the server's own queue.
func TestReaderQueue(t *testing.T) {
	s := start(t, "reader", "--workers", "1")
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() { s.get("/sleep?ms=250") })
	}
	all.Wait()
	lines := s.stop()
	for i, l := range lines {
		assert.NotEqual(t, l.PID, l.TID, "served by %+v", l)
		assert.Equal(t, l.PID, l.AcceptorTID, "served by %+v", l)
		assert.Equal(t, 1, l.Worker, "served by %+v", l)
		if i == 0 {
			continue
		}
		previous := lines[i-1]
		about := fmt.Sprintf("request %d: read at %d, taken at %d; the one before was written from %d to %d",
			i, l.ReadNS, l.HandoverNS, previous.WriteEnterNS, previous.WriteLeaveNS)
		assert.LessOrEqual(t, l.ReadNS, previous.WriteEnterNS, about)
		assert.GreaterOrEqual(t, l.HandoverNS, previous.WriteLeaveNS, about)
	}
}

// TestEventedPoll checks that a response that is held open does not block the
// loop, and that a blocking application does.
func TestEventedPoll(t *testing.T) {
	s := start(t, "evented", "--workers", "1")
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() { s.get("/poll?ms=250") })
	}
	all.Wait()
	for range 2 {
		all.Go(func() { s.get("/sleep?ms=100") })
	}
	all.Wait()
	var slowestStart, firstEnd int64
	var sleeps []int64
	for _, l := range s.stop() {
		switch l.Route {
		case "/poll":
			slowestStart = max(slowestStart, l.AppEnterNS)
			if firstEnd == 0 || l.AppLeaveNS < firstEnd {
				firstEnd = l.AppLeaveNS
			}
		case "/sleep":
			sleeps = append(sleeps, l.AppEnterNS)
		}
	}
	assert.LessOrEqual(t, slowestStart, firstEnd, "the polls ran one after the other")
	assert.GreaterOrEqual(t, sleeps[1]-sleeps[0], int64(100e6), "ns between the starts of two sleeps of 100 ms on one loop")
}

// TestEventedSlowReader checks that a client that does not read blocks no other
// client, and that its response is complete in the end.
func TestEventedSlowReader(t *testing.T) {
	s := start(t, "evented", "--workers", "1")
	for _, path := range []string{"/big?kb=20000", "/file?kb=20000", "/stream?chunks=20000&ms=0"} {
		slow := s.dial()
		_, err := io.WriteString(slow, "GET "+path+" HTTP/1.0\r\n\r\n")
		require.NoError(t, err)
		first := make([]byte, 1)
		_, err = io.ReadFull(slow, first)
		require.NoError(t, err)
		resp, _ := s.get("/fast")
		assert.Equal(t, 200, resp.StatusCode, "%s: status of another client", path)
		rest, err := io.ReadAll(slow)
		_, body, _ := strings.Cut(string(rest), "\r\n\r\n")
		assert.NoError(t, err, "%s: the slow client got %d bytes", path, len(body))
		assert.Equal(t, 20000<<10, len(body), "%s: bytes that the slow client got", path)
	}
	for _, l := range s.stop() {
		assert.Equal(t, 200, l.Status, "truth is %+v", l)
		assert.Empty(t, l.Error, "truth is %+v", l)
		if l.Route != "/fast" {
			assert.GreaterOrEqual(t, l.ResponseBytes, int64(20000<<10), "truth is %+v", l)
		}
	}
}

// TestIdleConnections opens many connections that never send anything.
func TestIdleConnections(t *testing.T) {
	want := 10000
	var limit syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	require.GreaterOrEqual(t, int(limit.Cur)/2, want, "this test needs a limit of %d open files, it is %d", 2*want, limit.Cur)
	for _, arch := range []string{"evented", "reader", "front/http"} {
		t.Run(arch, func(t *testing.T) {
			s := start(t, arch, "--workers", "1", "--keepalive", "60s", "--backlog", "4096")
			idle := openIdle(t, s, want)
			require.Len(t, idle, want)
			resp, _ := s.get("/fast")
			assert.Equal(t, 200, resp.StatusCode, "beside idle connections")
		})
	}
	// If an idle connection occupies a worker, the others wait in queues until
	// these are full. Once they are gone, the server continues.
	for _, arch := range []string{"serial", "prefork", "threaded", "daemon"} {
		t.Run(arch, func(t *testing.T) {
			args := []string{"--workers", "2", "--backlog", "4096"}
			if arch == "daemon" {
				args = append(args, "--protocol", "http")
			}
			s := start(t, arch, args...)
			for _, c := range beginIdle(t, s, want) {
				_ = syscall.Close(c)
			}
			resp, _ := s.get("/fast")
			assert.Equal(t, 200, resp.StatusCode, "after idle connections")
		})
	}
}

// beginIdle starts more connections than fit into the server's backlog, and
// waits for none of them.
func beginIdle(t *testing.T, s *server, n int) []int {
	t.Helper()
	to := netip.MustParseAddrPort(s.addr)
	conns := make([]int, 0, n)
	for range n {
		fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
		require.NoError(t, err)
		err = syscall.Connect(fd, &syscall.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()})
		if err != syscall.EINPROGRESS {
			require.NoError(t, err, "connection %d", len(conns)+1)
		}
		conns = append(conns, fd)
	}
	return conns
}

func openIdle(t *testing.T, s *server, n int) []net.Conn {
	t.Helper()
	network, address := s.network()
	var conns []net.Conn
	t.Cleanup(func() {
		for _, c := range conns {
			_ = c.Close()
		}
	})
	for range n {
		c, err := net.DialTimeout(network, address, patience)
		require.NoError(t, err, "connection %d", len(conns)+1)
		conns = append(conns, c)
	}
	return conns
}

// TestDescriptorsRunOut checks that a server at its limit of open files reports
// this, and continues when connections have closed.
func TestDescriptorsRunOut(t *testing.T) {
	s := start(t, "evented", "--workers", "1")
	worker := s.workers().Workers[0].PID
	setLimit(t, worker, openFiles(t, worker)+3)
	idle := openIdle(t, s, 8)
	eventually(t, "the server says what is wrong", func() bool {
		return strings.Contains(s.stderr.String(), "raise the limit of open files")
	})
	for _, c := range idle {
		_ = c.Close()
	}
	resp, _ := s.get("/fast")
	assert.Equal(t, 200, resp.StatusCode)
}

func TestEventedTimeouts(t *testing.T) {
	for _, arch := range []string{"evented", "reader"} {
		s := start(t, arch, "--workers", "1", "--keepalive", "50ms")
		began := time.Now()
		c := s.dial()
		answer, err := io.ReadAll(c)
		d := time.Since(began)
		assert.NoError(t, err, "%s: a silent connection got %q", arch, answer)
		assert.Empty(t, answer, "%s: a silent connection got %q", arch, answer)
		assert.GreaterOrEqual(t, d, 50*time.Millisecond, "%s: a silent connection was closed too early", arch)
	}
}

func TestReset(t *testing.T) {
	for _, arch := range []string{"evented", "reader", "threaded", "prefork"} {
		s := start(t, arch, "--workers", "1")
		c := s.dial().(*net.TCPConn)
		_, err := io.WriteString(c, "GET /big?kb=20000&id=reset HTTP/1.1\r\nHost: a\r\n\r\n")
		require.NoError(t, err)
		_, err = io.ReadFull(c, make([]byte, 1))
		require.NoError(t, err)
		require.NoError(t, errors.Join(c.SetLinger(0), c.Close()))
		eventually(t, "the reset is in the truth", func() bool { return len(s.lines()) == 1 })
		l := s.lines()[0]
		assert.Equal(t, "reset", l.ID, "%s: truth is %+v", arch, l)
		assert.Equal(t, "client_gone", l.Error, "%s: truth is %+v", arch, l)
		assert.Equal(t, 200, l.Status, "%s: truth is %+v", arch, l)
		assert.NotZero(t, l.ResponseBytes, "%s: truth is %+v", arch, l)
		resp, _ := s.get("/fast")
		assert.Equal(t, 200, resp.StatusCode, "%s: after a reset", arch)
	}
}

func openFiles(t *testing.T, pid int) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/fd")
	require.NoError(t, err)
	return len(entries)
}
