package socket

import (
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"lapwing/probes/socket/survey"
	"lapwing/probes/socket/wire"
)

// askInTurn sends each request on a connection of its own, until the time is up. It
// returns how many were answered.
func askInTurn(t *testing.T, to net.Addr, path string, until time.Time) (answered int) {
	address := &unix.SockaddrInet4{Port: to.(*net.TCPAddr).Port, Addr: [4]byte{127, 0, 0, 1}}
	answer := make([]byte, len(lineResponse))
	for time.Now().Before(until) {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		require.NoError(t, err)
		require.NoError(t, unix.Connect(fd, address))
		_, err = unix.Write(fd, []byte(lineRequest(path)))
		require.NoError(t, err)
		if n, _ := unix.Read(fd, answer); n == len(answer) {
			answered++
		}
		require.NoError(t, unix.Close(fd))
	}
	return answered
}

// TestPacketsByInterrupt lets connections start and end while programs run on the same
// CPU for the end of others: the kernel skips those runs.
func TestPacketsByInterrupt(t *testing.T) {
	const clients, servers = 6, 4
	forEachPlan(t, func(t *testing.T, plan survey.Plan) {
		p := open(t, Options{Plan: plan, RingBytes: 64 << 20})
		var answered atomic.Int64
		inNamespace(t, func(sys string) {
			byInterrupt(t, sys)
			l := listenTCP(t)
			fd := descriptor(t, l)
			for range servers {
				other, err := unix.Dup(fd)
				require.NoError(t, err)
				go serveOnce(other)
			}
			until := time.Now().Add(2 * time.Second)
			var all sync.WaitGroup
			for range clients {
				all.Add(1)
				socketsHere(func() {
					defer all.Done()
					answered.Add(int64(askInTurn(t, l.Addr(), "/interrupt", until)))
				})
			}
			all.Wait()
			require.NoError(t, unix.Shutdown(fd, unix.SHUT_RDWR))
		})
		stats, err := p.Stats()
		require.NoError(t, err)
		got := &seen{}
		runOut(t, p, ours{got})
		var requests, started int
		for _, r := range got.finals() {
			if r.kind != wire.Call && r.head == lineRequest("/interrupt") {
				requests++
				assert.LessOrEqual(t, r.Established, r.ReadFirst)
				if r.Established != 0 {
					started++
				}
			}
		}
		t.Logf("%d requests, %d runs skipped, %d without begin", answered.Load(), stats.Skipped, requests-started)
		if runtime.NumCPU() > 1 { // otherwise packets wait until the CPU is free
			require.NotZero(t, stats.Skipped, "nothing was interrupted")
		}
		assert.EqualValues(t, answered.Load(), requests)
		assert.Greater(t, started, requests*9/10, "whose begin is known")
	})
}

// socketsHere runs f on a thread of its own, which creates its sockets in the namespace
// of the calling thread.
func socketsHere(f func()) {
	ns, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	go func() {
		runtime.LockOSThread()
		if err == nil {
			err = unix.Setns(ns, unix.CLONE_NEWNET)
			_ = unix.Close(ns)
		}
		if err != nil {
			panic(err)
		}
		f()
	}()
}
