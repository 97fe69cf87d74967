package socket

import (
	"io"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/probes/socket/snapshot"
	"lapwing/probes/socket/survey"
)

// TestQuietTablesAreNotWalked sends a request over a socket. It looks at what there is to
// sweep before that, until the response is handed out, and while the connection stays
// open and nothing happens on it.
func TestQuietTablesAreNotWalked(t *testing.T) {
	for i, network := range []string{"unix", "tcp"} {
		t.Run(network, func(t *testing.T) {
			address := "127.0.0.1:0"
			if network == "unix" {
				address = filepath.Join(t.TempDir(), "s")
			}
			l, err := net.Listen(network, address)
			require.NoError(t, err)
			web := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })}
			go func() { _ = web.Serve(l) }() // ends with Close
			t.Cleanup(func() { _ = web.Close() })
			forEachPlan(t, func(t *testing.T, plan survey.Plan) { quietTable(t, plan, i, l.Addr()) })
		})
	}
}

func quietTable(t *testing.T, plan survey.Plan, which int, at net.Addr) {
	p := open(t, Options{Plan: plan, Snapshots: true, Ports: []uint16{portOf(at)}})
	due := func() (is bool) {
		for i, s := range p.sweeps {
			s.cost = Cost{} // sweep as often as the test asks
			swept, err := s.run()
			require.NoError(t, err)
			is = is || swept && i == which
		}
		return is
	}
	quiet := func() bool {
		first, second := due(), due()
		return !first && !second
	}
	require.Eventually(t, quiet, 5*time.Second, 10*time.Millisecond, "there was no connection yet")

	conn, err := net.Dial(at.Network(), at.String())
	require.NoError(t, err)
	defer conn.Close()
	for asks := 1; asks <= 2; asks++ {
		require.NoError(t, p.SnapConns(&snapshot.Snapshot{}))
		asked := time.Now()
		_, err = conn.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
		require.NoError(t, err)
		_, err = conn.Read(make([]byte, 1000))
		require.NoError(t, err)
		assert.True(t, p.Touched(), "since the last look")
		for time.Since(asked) < idleAfter-20*time.Millisecond {
			is := due()
			if time.Since(asked) < idleAfter {
				require.True(t, is, "its response is complete and not handed out")
			}
			time.Sleep(10 * time.Millisecond)
		}
		require.Eventually(t, quiet, 5*time.Second, 10*time.Millisecond, "the connection is idle")
		stats, err := p.Stats()
		require.NoError(t, err)
		assert.GreaterOrEqual(t, stats.Tentative, uint64(asks), "responses handed out")
		require.Eventually(t, func() bool {
			due()
			require.NoError(t, p.SnapConns(&snapshot.Snapshot{}))
			return !p.Touched()
		}, 5*time.Second, 10*time.Millisecond, "nothing happens any more")
	}
}

func portOf(at net.Addr) uint16 {
	if tcp, ok := at.(*net.TCPAddr); ok {
		return uint16(tcp.Port)
	}
	return 1 // a port that is not used
}
