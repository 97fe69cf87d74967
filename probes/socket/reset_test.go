package socket

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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

// TestResetBeforeAccept resets a connection that waits in the backlog. The server
// accepts it all the same, and reads what had arrived. It is over by then: nothing
// would ever say that it ends, and who frames it would wait for ever.
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
