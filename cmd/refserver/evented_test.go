package main

import (
	"errors"
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
		if l.TID == l.PID || l.AcceptorTID != l.PID || l.Worker != 1 {
			t.Errorf("served by %+v", l)
		}
		if i == 0 {
			continue
		}
		if previous := lines[i-1]; l.ReadNS > previous.WriteEnterNS || l.HandoverNS < previous.WriteLeaveNS {
			t.Errorf("request %d: read at %d, taken at %d; the one before was written from %d to %d",
				i, l.ReadNS, l.HandoverNS, previous.WriteEnterNS, previous.WriteLeaveNS)
		}
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
	if slowestStart > firstEnd {
		t.Error("the polls ran one after the other")
	}
	if gap := sleeps[1] - sleeps[0]; gap < 100e6 {
		t.Errorf("two sleeps of 100 ms on one loop began %d ns apart", gap)
	}
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
		if resp, _ := s.get("/fast"); resp.StatusCode != 200 {
			t.Errorf("%s: another client got status %d", path, resp.StatusCode)
		}
		rest, err := io.ReadAll(slow)
		if _, body, _ := strings.Cut(string(rest), "\r\n\r\n"); err != nil || len(body) != 20000<<10 {
			t.Errorf("%s: the slow client got %d bytes, %v", path, len(body), err)
		}
	}
	for _, l := range s.stop() {
		if l.Status != 200 || l.Error != "" || l.Route != "/fast" && l.ResponseBytes < 20000<<10 {
			t.Errorf("truth is %+v", l)
		}
	}
}

// TestIdleConnections opens many connections that never send anything.
func TestIdleConnections(t *testing.T) {
	want := 10000
	var limit syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	if int(limit.Cur)/2 < want {
		t.Fatalf("this test needs a limit of %d open files, it is %d", 2*want, limit.Cur)
	}
	for _, arch := range []string{"evented", "reader", "front/http"} {
		t.Run(arch, func(t *testing.T) {
			s := start(t, arch, "--workers", "1", "--keepalive", "60s", "--backlog", "4096")
			idle := openIdle(t, s, want)
			require.Len(t, idle, want)
			if resp, _ := s.get("/fast"); resp.StatusCode != 200 {
				t.Errorf("beside idle connections: status %d", resp.StatusCode)
			}
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
			if resp, _ := s.get("/fast"); resp.StatusCode != 200 {
				t.Errorf("after idle connections: status %d", resp.StatusCode)
			}
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
		if err != nil && err != syscall.EINPROGRESS {
			t.Fatalf("connection %d: %v", len(conns)+1, err)
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
		if err != nil {
			t.Fatalf("connection %d: %v", len(conns)+1, err)
		}
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
	if resp, _ := s.get("/fast"); resp.StatusCode != 200 {
		t.Errorf("status %d", resp.StatusCode)
	}
}

func TestEventedTimeouts(t *testing.T) {
	for _, arch := range []string{"evented", "reader"} {
		s := start(t, arch, "--workers", "1", "--keepalive", "50ms")
		began := time.Now()
		c := s.dial()
		if answer, err := io.ReadAll(c); err != nil || len(answer) != 0 {
			t.Errorf("%s: a silent connection got %q, %v", arch, answer, err)
		}
		if d := time.Since(began); d < 50*time.Millisecond {
			t.Errorf("%s: a silent connection was closed after %v", arch, d)
		}
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
		if l := s.lines()[0]; l.ID != "reset" || l.Error != "client_gone" || l.Status != 200 || l.ResponseBytes == 0 {
			t.Errorf("%s: truth is %+v", arch, l)
		}
		if resp, _ := s.get("/fast"); resp.StatusCode != 200 {
			t.Errorf("%s: after a reset: status %d", arch, resp.StatusCode)
		}
	}
}

func openFiles(t *testing.T, pid int) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/fd")
	require.NoError(t, err)
	return len(entries)
}
