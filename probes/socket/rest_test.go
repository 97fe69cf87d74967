package socket

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"lapwing/probes/socket/survey"
)

// restAtOnce opens the probes for a listener. Its connections may rest as soon as they
// have been idle for a moment.
func restAtOnce(t *testing.T, plan survey.Plan, l net.Listener) *Probe {
	p := open(t, Options{Plan: plan, Ports: []uint16{portOf(l.Addr())}})
	require.NoError(t, p.coll.Variables["idle_ns"].Set(uint64(1)))
	require.NoError(t, p.coll.Variables["rest_ns"].Set(uint64(1)))
	return p
}

// TestIdleConnectionsRest uses connections again after they rested, and closes others.
func TestIdleConnectionsRest(t *testing.T) {
	const connections = 30
	forEachPlan(t, func(t *testing.T, plan survey.Plan) {
		for _, network := range []string{"tcp4", "tcp6"} {
			l := listen(t, network)
			p := restAtOnce(t, plan, l)
			all := lines(t, l, connections)
			for _, l := range all {
				l.ask("/rest/first")
				l.answer("/rest/first")
			}
			require.NoError(t, p.sweep())
			require.NoError(t, p.letRest())
			stats, err := p.Stats()
			require.NoError(t, err)
			require.Zero(t, stats.Rested, "they are only marked")
			all[0].ask("/rest/again") // takes off the mark
			all[0].answer("/rest/again")
			require.NoError(t, p.letRest())
			stats, err = p.Stats()
			require.NoError(t, err)
			require.Equal(t, connections-1, int(stats.Rested))
			for i, l := range all {
				if i%2 == 0 {
					require.NoError(t, l.client.Close())
					continue
				}
				l.ask("/rest/second")
				l.answer("/rest/second")
			}
			got := &seen{}
			runOut(t, p, ours{got})
			first := map[uint64]seenRequest{}
			for _, r := range got.requestsTo("/rest/first") {
				first[r.Conn] = r
			}
			assert.Len(t, first, connections)
			assert.Len(t, got.requestsTo("/rest/again"), 1)
			second := got.requestsTo("/rest/second")
			assert.Len(t, second, connections/2)
			for _, r := range second {
				was := first[r.Conn]
				assert.Equal(t, 2, int(r.Seq))
				assert.Equal(t, [2]uint64{was.Established, was.Accepted}, [2]uint64{r.Established, r.Accepted})
				assert.NotZero(t, r.Arrived)
				assert.LessOrEqual(t, r.Arrived, r.ReadFirst)
				assert.Greater(t, r.Arrived, was.WriteLast)
				assert.Equal(t, [2]any{was.Local, was.Peer}, [2]any{r.Local, r.Peer})
				assert.Equal(t, [2]uint16{was.LocalPort, was.PeerPort}, [2]uint16{r.LocalPort, r.PeerPort})
			}
			stats, err = p.Stats()
			require.NoError(t, err)
			assert.Zero(t, stats.LostTable)
			assert.Zero(t, stats.LostAccept)
		}
	})
}

// TestHeldConnectionsDoNotRest leaves a thread in a read of an idle connection: it is
// shown as held.
func TestHeldConnectionsDoNotRest(t *testing.T) {
	forEachPlan(t, func(t *testing.T, plan survey.Plan) {
		l := listen(t, "tcp4")
		p := restAtOnce(t, plan, l)
		line := newLine(t, l)
		line.ask("/rest/held")
		line.answer("/rest/held")
		fd := descriptor(t, line.server)
		go func() {
			_, _ = unix.Read(fd, make([]byte, 1)) // ends with the connection
			_ = unix.Close(fd)
		}()
		time.Sleep(100 * time.Millisecond)
		require.NoError(t, p.sweep())
		for range 3 {
			require.NoError(t, p.letRest())
		}
		stats, err := p.Stats()
		require.NoError(t, err)
		assert.Zero(t, stats.Rested)
	})
}

// TestRestBesideRequests lets connections rest all the time while they are in use, with
// pauses. Each request is handed out once, and is one request.
func TestRestBesideRequests(t *testing.T) {
	const connections, requests = 40, 20
	forEachPlan(t, func(t *testing.T, plan survey.Plan) {
		l := listen(t, "tcp4")
		p := restAtOnce(t, plan, l)
		p.restEvery = pollEvery
		ctx, stop := context.WithCancel(t.Context())
		got := &handedOut{times: map[string]int{}, calls: map[string]int{}}
		ended := make(chan error, 1)
		go func() { ended <- p.Run(ctx, got) }()
		first := newLine(t, l) // from here on the process is a server
		first.ask("/first")
		first.answer("/first")
		var clients sync.WaitGroup
		for _, line := range lines(t, l, connections) {
			clients.Go(func() { askNowAndThen(t, line, requests) })
		}
		clients.Wait()
		stop()
		require.NoError(t, <-ended)
		assert.Empty(t, got.torn)
		assert.Empty(t, got.other)
		assert.Len(t, got.times, connections*requests, "%v", got.missing(requests))
		for request, n := range got.times {
			assert.Equal(t, 1, n, request)
		}
		stats, err := p.Stats()
		require.NoError(t, err)
		assert.Zero(t, stats.LostTable)
		assert.Greater(t, int(stats.Rested), connections)
	})
}

// askNowAndThen sends requests with pauses of up to half a second.
func askNowAndThen(t *testing.T, line *line, requests int) {
	go answerAll(line.server)
	answers := bufio.NewReader(line.client)
	for i := range requests {
		line.ask(fmt.Sprintf("/swept/%d", i+1))
		response, err := http.ReadResponse(answers, nil)
		if !assert.NoError(t, err) {
			return
		}
		_ = response.Body.Close()
		time.Sleep(rand.N(500 * time.Millisecond))
	}
}

// TestRestAfterSegmentWithoutBytes wakes a connection that rests with something that is
// no request. It rests again.
func TestRestAfterSegmentWithoutBytes(t *testing.T) {
	forEachPlan(t, func(t *testing.T, plan survey.Plan) {
		l := listen(t, "tcp4")
		p := restAtOnce(t, plan, l)
		line := newLine(t, l)
		line.ask("/rest/probed")
		line.answer("/rest/probed")
		require.NoError(t, p.sweep())
		rest := func() (n uint64) {
			require.NoError(t, p.sweep())
			for range 2 {
				require.NoError(t, p.letRest())
			}
			stats, err := p.Stats()
			require.NoError(t, err)
			return stats.Rested
		}
		require.EqualValues(t, 1, rest())
		raw, err := line.client.(*net.TCPConn).SyscallConn()
		require.NoError(t, err)
		require.NoError(t, raw.Control(func(fd uintptr) {
			// The next segment is a keep-alive probe, a second later.
			require.NoError(t, unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 1))
			require.NoError(t, unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1))
		}))
		require.Eventually(t, func() bool { return rest() >= 2 }, 10*time.Second, 200*time.Millisecond)
		line.ask("/rest/probed")
		line.answer("/rest/probed")
		got := &seen{}
		runOut(t, p, ours{got})
		found := got.requestsTo("/rest/probed")
		require.Len(t, found, 2)
		assert.Equal(t, found[0].Conn, found[1].Conn)
	})
}
