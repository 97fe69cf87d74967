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
)

// TestQuietTablesAreNotWalked asks over a unix socket, and looks at what there
// is to sweep before that, after it, and when the connection is gone.
func TestQuietTablesAreNotWalked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	web := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })}
	go func() { _ = web.Serve(l) }() // ends with Close
	t.Cleanup(func() { _ = web.Close() })

	forEachPlan(t, func(t *testing.T, plan Plan) {
		p := open(t, Options{Plan: plan})
		ofUnix := p.sweeps[0]
		require.Equal(t, p.coll.Variables["unix_used"], ofUnix.used)
		due := func() bool {
			is, err := ofUnix.run()
			require.NoError(t, err)
			return is
		}
		quiet := func() bool { return !due() }
		require.Eventually(t, quiet, 5*time.Second, 10*time.Millisecond, "there was no connection yet")

		conn, err := net.Dial("unix", path)
		require.NoError(t, err)
		_, err = conn.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
		require.NoError(t, err)
		_, err = conn.Read(make([]byte, 1000))
		require.NoError(t, err)
		for range 5 {
			assert.True(t, due(), "its response may be complete at any time")
		}
		require.NoError(t, conn.Close())
		require.Eventually(t, quiet, 5*time.Second, 10*time.Millisecond, "it is gone")
	})
}
