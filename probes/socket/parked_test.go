package socket

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"lapwing/probes/socket/survey"
	"lapwing/probes/socket/wire"
)

// longWrite is a connection on which one thread writes a long response while another
// reads the next requests.
type longWrite struct {
	*line
	fd      int
	written chan error
}

const longBody = 16 << 20

func writeLong(t *testing.T, l *line, path string) *longWrite {
	w := &longWrite{line: l, fd: descriptor(t, l.server), written: make(chan error, 1)}
	t.Cleanup(func() { _ = unix.Close(w.fd) })
	w.take(path)
	response := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", longBody, make([]byte, longBody))
	go func() {
		n, err := unix.Write(w.fd, response)
		if err == nil && n < len(response) {
			err = io.ErrShortWrite
		}
		w.written <- err
	}()
	w.awaitFull()
	return w
}

// awaitFull waits until there is no more room between the ends: the write goes on only
// when the other end reads.
func (w *longWrite) awaitFull() {
	var last int
	require.Eventually(w.t, func() bool {
		queued, err := unix.IoctlGetInt(w.fd, unix.SIOCOUTQ)
		require.NoError(w.t, err)
		full := queued > 0 && queued == last
		last = queued
		return full
	}, 20*time.Second, 20*time.Millisecond)
}

// take lets the client send a request, and reads it.
func (w *longWrite) take(path string) {
	w.ask(path)
	n, err := unix.Read(w.fd, make([]byte, 1000))
	require.NoError(w.t, err)
	require.Equal(w.t, len(lineRequest(path)), n)
}

// end reads the long response, and lets the requests after it be answered.
func (w *longWrite) end(after int) {
	_, err := io.CopyN(io.Discard, w.client, int64(len(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", longBody))+longBody))
	require.NoError(w.t, err)
	require.NoError(w.t, <-w.written)
	for range after {
		_, err = unix.Write(w.fd, []byte(lineResponse))
		require.NoError(w.t, err)
		_, err = io.ReadFull(w.client, make([]byte, len(lineResponse)))
		require.NoError(w.t, err)
	}
}

// answers returns the number of response bytes of each request that was handed out.
func answers(s *seen) map[string]uint64 {
	all := map[string]uint64{}
	for _, r := range s.requests {
		if path, _, ok := strings.Cut(strings.TrimPrefix(r.head, "GET "), " "); ok && (r.kind == wire.Final || r.kind == wire.Tentative) {
			all[path] = r.ResponseBytes
		}
	}
	return all
}

// TestNoRoomToSetAside has more connections on which the next request is read during the
// write of a response than there is room for. Those without room are counted, and no
// response is assigned to another request.
func TestNoRoomToSetAside(t *testing.T) {
	const connections, room = 12, 8
	forEachPlan(t, func(t *testing.T, plan survey.Plan) {
		for _, network := range []string{"tcp", "unix"} {
			t.Run(network, func(t *testing.T) {
				p := open(t, Options{Plan: plan, Connections: room * parkedShare})
				l := listen(t, network)
				var all []*longWrite
				for i := range connections {
					w := writeLong(t, newLine(t, l), fmt.Sprintf("/first/%d", i))
					w.take(fmt.Sprintf("/second/%d", i))
					all = append(all, w)
				}
				for _, w := range all {
					w.end(1)
				}
				got := &seen{}
				runOut(t, p, ours{got})
				stats, err := p.Stats()
				require.NoError(t, err)
				found := answers(got)
				lost := 0
				for i := range connections {
					first, ok := found[fmt.Sprintf("/first/%d", i)]
					second, too := found[fmt.Sprintf("/second/%d", i)]
					if !ok && !too {
						lost++
						continue
					}
					assert.Greater(t, first, uint64(longBody), "%d", i)
					assert.Equal(t, uint64(len(lineResponse)), second, "%d", i)
				}
				assert.Equal(t, connections-room, lost)
				assert.Equal(t, connections-room, int(stats.LostTable))
			})
		}
	})
}

// TestTwoSetAside lets two requests be read during the write of the previous response.
// There is room for one.
func TestTwoSetAside(t *testing.T) {
	forEachPlan(t, func(t *testing.T, plan survey.Plan) {
		p := open(t, Options{Plan: plan})
		w := writeLong(t, newLine(t, listen(t, "tcp")), "/first")
		w.take("/second")
		w.take("/third")
		w.end(2)
		got := &seen{}
		runOut(t, p, ours{got})
		stats, err := p.Stats()
		require.NoError(t, err)
		assert.Empty(t, answers(got))
		assert.Equal(t, 1, int(stats.LostTable))
	})
}
