package pooltest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
	"lapwing/probes/socket/survey"
)

// leftOpen are what clients send, what the server answers, and how many
// requests have no end then.
var leftOpen = []struct {
	name, asks, answers string
	open                uint64
}{
	{"no answer yet", "GET /a HTTP/1.1\r\nHost: x\r\n\r\n", "", 1},
	{"a head that goes on", "GET /b HTTP/1.1\r\nHost: x\r\nX-Long: ", "", 1},
	{"half of a body", "POST /c HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf", "", 1},
	{"half of an answer", "GET /d HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", 1},
	{"a stream", "GET /e HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", 1},
	{"two pipelined, one answered", "GET /f HTTP/1.1\r\nHost: x\r\n\r\nGET /g HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 1},
	{"answered and kept", "GET /h HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0},
	{"nothing was sent", "", "", 0},
}

// leaveOpen starts a server and leaves one connection of each kind open.
func leaveOpen(t *testing.T, network string) (open uint64) {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(t.TempDir(), "s")
	}
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	l, err := config.Listen(t.Context(), network, address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	for _, o := range leftOpen {
		c, err := net.Dial(network, l.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		s, err := l.Accept()
		require.NoError(t, err)
		t.Cleanup(func() { _ = s.Close() })
		_, err = io.WriteString(c, o.asks)
		require.NoError(t, err)
		if o.asks != "" {
			_, err = s.Read(make([]byte, 4096))
			require.NoError(t, err)
		}
		if o.answers != "" {
			_, err = io.WriteString(s, o.answers)
			require.NoError(t, err)
		}
		open += o.open
	}
	return open
}

// TestInFlightAtTheEnd ends the agent while requests are in flight. Each
// command must report their number, and count none of them as a request or as
// an error.
func TestInFlightAtTheEnd(t *testing.T) {
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		own := []string{"--exe", harness.Executable(t)}
		trace := harness.StartTrace(t, plan, own...)
		top := harness.StartTop(t, plan, own...)
		pools := harness.StartPools(t, plan, own...)
		other := startServer(t, "tcp", "--arch", "threaded") // filtered out
		other.ask(t, 0, "/sleep?ms=60000")
		want := leaveOpen(t, "tcp") + leaveOpen(t, "unix")
		time.Sleep(time.Second)
		const ended = 4 // two that were answered on kept-alive connections, two that were pipelined
		assert.Len(t, trace.Finish(), ended)
		assert.Contains(t, trace.Stderr(), fmt.Sprintf("%d requests, 0 lost, %d still in flight at the end", ended, want))
		totals := top.Finish()
		assert.Equal(t, uint64(ended), totals.Requests())
		assert.Equal(t, want, totals.InFlight)
		final := pools.Finish()
		if assert.NotNil(t, final.InFlight) {
			assert.Equal(t, want, *final.InFlight)
		}
	})
}

// TestNoneInFlightAtTheEnd ends the agent while kept-alive connections are
// open.
func TestNoneInFlightAtTheEnd(t *testing.T) {
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		s := startServer(t, "tcp", "--arch", "threaded", "--keepalive", "20s")
		trace := harness.StartTrace(t, plan, s.filter()...)
		for i := range 3 {
			resp, err := http.ReadResponse(bufio.NewReader(s.ask(t, i, "/fast")), nil)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
		}
		assert.Len(t, trace.Finish(), 3)
		assert.NotContains(t, trace.Stderr(), "in flight")
	})
}
