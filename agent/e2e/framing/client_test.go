package framing

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// caller is a client of real servers on one connection.
type caller struct {
	net.Conn
	in   *bufio.Reader
	got  int           // bytes that were received
	per  int           // bytes after which it pauses
	stop time.Duration // length of a pause; zero: no pauses
	mark int

	stopped time.Duration // in total
}

// dial connects a client that pauses after every per bytes. A slow client has a
// small receive buffer.
func dial(t *testing.T, address string, per int, stop time.Duration) *caller {
	t.Helper()
	d := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
		if per == 0 {
			return nil
		}
		var err error
		return errors.Join(raw.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 16<<10)
		}), err)
	}}
	conn, err := d.DialContext(context.Background(), "tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	c := &caller{Conn: conn, per: per, stop: stop, mark: per}
	c.in = bufio.NewReader(c)
	return c
}

// Read implements io.Reader at the speed of the client.
func (c *caller) Read(p []byte) (int, error) {
	if c.per > 0 && c.got >= c.mark {
		c.mark += c.per
		time.Sleep(c.stop)
		c.stopped += c.stop
	}
	n, err := c.Conn.Read(p)
	c.got += n
	return n, err
}

// answer is a response as the client saw it.
type answer struct {
	status int
	bytes  int
	begun  time.Time
	took   time.Duration
	err    error // of reading the body
}

// call sends a request and receives the response. If there is no response, it
// fails the test, from any goroutine.
func (c *caller) call(t *testing.T, request string) answer {
	t.Helper()
	a, before := answer{begun: time.Now()}, c.got-c.in.Buffered()
	_, err := io.WriteString(c.Conn, request)
	var r *http.Response
	if err == nil {
		r, err = http.ReadResponse(c.in, nil)
	}
	if !assert.NoError(t, err, "response to %.60q", request) {
		return answer{err: err}
	}
	_, a.err = io.Copy(io.Discard, r.Body)
	a.status, a.bytes, a.took = r.StatusCode, c.got-c.in.Buffered()-before, time.Since(a.begun)
	return a
}
