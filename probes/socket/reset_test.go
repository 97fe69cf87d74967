package socket

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"lapwing/probes/socket/survey"
	"lapwing/probes/socket/wire"
)

// lives counts the connections that are framed in user space.
type lives struct {
	framedEvents
	opened, abandoned int
}

func (l *lives) HandleRecord(k wire.Kind, r wire.Record) {
	switch {
	case k == wire.Opened:
		l.opened++
	case k == wire.Abandoned:
		l.abandoned++
	}
}

// TestResetBeforeAccept resets a connection that waits in the backlog. The server still
// accepts it, and reads what had arrived. The connection has ended by then: nothing would
// ever report its end, and user space would wait for it forever.
func TestResetBeforeAccept(t *testing.T) {
	forEachPlan(t, func(t *testing.T, plan survey.Plan) {
		p := open(t, Options{Plan: plan})
		listener := listen(t, "tcp")
		const conns = 20
		sent := []string{"G", "\x16\x03\x01", lineRequest("/") + lineRequest("/"), "GET / HT"}
		for i := range conns {
			client, err := net.Dial("tcp", listener.Addr().String())
			require.NoError(t, err)
			_, err = client.Write([]byte(sent[i%len(sent)]))
			require.NoError(t, err)
			require.NoError(t, client.(*net.TCPConn).SetLinger(0))
			require.NoError(t, client.Close())
		}
		read := 0
		for range conns {
			server, err := listener.Accept()
			require.NoError(t, err)
			require.NoError(t, server.SetReadDeadline(time.Now().Add(5*time.Second)))
			if n, _ := server.Read(make([]byte, 4096)); n > 0 {
				read++
			}
			require.NoError(t, server.Close())
		}
		require.Positive(t, read, "what had arrived is there after a reset")
		got := &lives{}
		runOut(t, p, got)
		assert.Equal(t, got.opened, got.closes)
		assert.Equal(t, conns, got.abandoned)
		stats, err := p.Stats()
		require.NoError(t, err)
		assert.Zero(t, stats.LostEvents)
	})
}

// onces counts what is handed out of each connection.
type onces struct {
	port      uint16 // of the listener: others use the machine, too
	byConn    map[uint64]int
	answered  int
	abandoned int
}

func (o *onces) HandleEvent(wire.Event) {}
func (o *onces) Tick(time.Time)         {}
func (o *onces) HandleRecord(kind wire.Kind, r wire.Record) {
	if r.LocalPort != o.port {
		return
	}
	switch kind {
	case wire.Final:
		if r.Reported == 0 || r.Reported != r.Seq {
			o.byConn[r.Conn]++
		}
		if r.Out.Status == 200 {
			o.answered++
		}
	case wire.Tentative:
		o.byConn[r.Conn]++
	case wire.Abandoned:
		o.byConn[r.Conn]++
		o.abandoned++
	}
}

// TestResetMeetsRead lets clients send a request and reset the connection at once. The
// reset meets the server anywhere between accept and the end of its answer, also between
// a read and its hook. Each request is handed out once.
func TestResetMeetsRead(t *testing.T) {
	const requests = 5000
	forEachPlan(t, func(t *testing.T, plan survey.Plan) {
		p := open(t, Options{Plan: plan, RingBytes: 32 << 20})
		listener := listen(t, "tcp")
		fd := descriptor(t, listener)
		go serveOnce(fd)
		asked := 0
		for begin := time.Now(); asked < requests && time.Since(begin) < pingPongTime; asked++ {
			client, err := net.Dial("tcp", listener.Addr().String())
			require.NoError(t, err)
			require.NoError(t, client.(*net.TCPConn).SetLinger(0))
			_, err = client.Write([]byte(lineRequest("/")))
			require.NoError(t, err)
			for range asked % 20 { // up to the time that an answer takes
				monotonic()
			}
			require.NoError(t, client.Close())
		}
		require.NoError(t, unix.Shutdown(fd, unix.SHUT_RDWR))
		got := &onces{port: uint16(listener.Addr().(*net.TCPAddr).Port), byConn: map[uint64]int{}}
		runOut(t, p, got)
		t.Logf("%d requests, %d answered, %d not read", asked, got.answered, got.abandoned)
		twice := 0
		for _, n := range got.byConn {
			if n > 1 {
				twice++
			}
		}
		assert.Zero(t, twice)
		assert.Equal(t, asked, len(got.byConn), "requests that were handed out")
		stats, err := p.Stats()
		require.NoError(t, err)
		assert.Zero(t, stats.Malformed)
		assert.Zero(t, stats.LostTable)
	})
}
