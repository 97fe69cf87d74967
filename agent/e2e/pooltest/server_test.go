package pooltest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
	"lapwing/collectors/request"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// server is a running reference server with four workers.
type server struct {
	*harness.Process
	network, address string
	file             string        // the truth file of the server
	patience         time.Duration // of its clients; 0: 30 s
}

const workers = 4

func startServer(t *testing.T, network string, args ...string) *server {
	t.Helper()
	dir := t.TempDir()
	s := &server{network: network, file: filepath.Join(dir, "truth.jsonl")}
	listen := ""
	if network == "unix" {
		s.address = filepath.Join(dir, "s")
		listen = "unix:" + s.address
	} else {
		s.address = harness.FreeAddress(t)
		listen = s.address
	}
	args = append([]string{"--listen", listen, "--workers", fmt.Sprint(workers), "--truth", s.file}, args...)
	s.Process = harness.Start(t, exec.Command(harness.RefServer(t), args...))
	harness.Eventually(t, 20*time.Second, "the server listens", func() bool {
		c, err := net.Dial(network, s.address)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return s
}

// client is a connection on which a request was sent.
type client struct {
	net.Conn
	sent request.Stamp
}

// ask sends a request on a new connection.
func (s *server) ask(t *testing.T, id int, path string) *client {
	t.Helper()
	c, err := net.Dial(s.network, s.address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	out := &client{Conn: c, sent: request.Now()}
	_, err = fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\nX-Request-Id: %d\r\n\r\n", path, id)
	require.NoError(t, err)
	return out
}

// answered waits for the start of the response.
func (c *client) answered(t *testing.T) {
	t.Helper()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(harness.Slow(60*time.Second))))
	line, err := bufio.NewReader(c).ReadString('\n')
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(line, "HTTP/1.1 200"), line)
}

// truth is one line of the server's own record. Stamps are nanoseconds of the
// monotonic clock.
type truth struct {
	ID        string        `json:"id"`
	PID       uint32        `json:"pid"`
	TID       uint32        `json:"tid"`
	ReadFirst request.Stamp `json:"read_first_ns"`
	Left      request.Stamp `json:"write_leave_ns"`
}

// truth reads what the server recorded, which is complete once it has ended.
func (s *server) truth(t *testing.T) []truth {
	t.Helper()
	f, err := os.Open(s.file)
	require.NoError(t, err)
	defer f.Close()
	var all []truth
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var l truth
		require.NoError(t, json.Unmarshal(lines.Bytes(), &l))
		if l.ReadFirst.Seen() && l.ID != "" {
			all = append(all, l)
		}
	}
	return all
}

// filter limits the agent to the server's processes.
func (s *server) filter() []string { return []string{"--pid", fmt.Sprint(s.PID())} }

// silent opens a connection and sends nothing.
func (s *server) silent(t *testing.T) {
	t.Helper()
	c, err := net.Dial(s.network, s.address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
}
