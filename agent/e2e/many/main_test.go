package many

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"lapwing/agent/e2e/harness"
	"lapwing/probes/socket/survey"
)

// serverFiles makes the test binary a server. It writes its address to this
// directory and, at its end, the number of requests it served.
const serverFiles = "LAPWING_TEST_SERVER_FILES"

func TestMain(m *testing.M) {
	if dir := os.Getenv(serverFiles); dir != "" {
		if err := serve(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(harness.Main(m))
}

// publish writes a file atomically.
func publish(dir, name string, content any) error {
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file+".new", fmt.Append(nil, content), 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

// serve serves until its standard input ends.
func serve(dir string) error {
	listener, err := net.Listen("tcp4", "0.0.0.0:0") // all of 127.0.0.0/8: each address has its own ports
	if err != nil {
		return err
	}
	if err := publish(dir, "port", listener.Addr().(*net.TCPAddr).Port); err != nil {
		return err
	}
	var answered atomic.Uint64
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go answer(conn, &answered)
		}
	}()
	_, _ = io.Copy(io.Discard, os.Stdin)
	return publish(dir, "answered", answered.Load())
}

// answer serves one connection, and closes it after a response if the path
// requests that.
func answer(conn net.Conn, answered *atomic.Uint64) {
	defer conn.Close()
	head := make([]byte, 0, 128)
	for {
		n, err := conn.Read(head[len(head):cap(head)])
		head = head[:len(head)+n]
		if err != nil {
			return
		}
		if !strings.HasSuffix(string(head), "\r\n\r\n") {
			continue
		}
		last := strings.HasPrefix(string(head), "GET /last")
		head = head[:0]
		if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n"); err != nil {
			return
		}
		answered.Add(1)
		if last {
			return
		}
	}
}

// server is a running server.
type server struct {
	*harness.Process
	t    *testing.T
	dir  string
	port int
	stop io.Closer
}

func startServer(t *testing.T) *server {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	s := &server{t: t, dir: t.TempDir()}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), serverFiles+"="+s.dir)
	s.stop, err = cmd.StdinPipe()
	require.NoError(t, err)
	s.Process = harness.Start(t, cmd)
	s.port = s.await("port")
	return s
}

// answered ends the server and returns the number of requests it served.
func (s *server) answered() int {
	s.t.Helper()
	require.NoError(s.t, s.stop.Close())
	n := s.await("answered")
	require.NoError(s.t, s.AwaitExit(10*time.Second), s.Stderr())
	return n
}

func (s *server) await(name string) (n int) {
	s.t.Helper()
	harness.Eventually(s.t, 20*time.Second, "the server tells of "+name, func() bool {
		raw, err := os.ReadFile(filepath.Join(s.dir, name))
		if err != nil {
			return false
		}
		n, err = strconv.Atoi(string(raw))
		return err == nil
	})
	return n
}

// at returns one of the 200 addresses of the server.
func (s *server) at(i int) string { return fmt.Sprintf("127.0.0.%d:%d", 1+i%200, s.port) }

// ask sends a request and reads the response, which is always the same.
func ask(conn net.Conn, path string, answer []byte) error {
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: many\r\n\r\n", path); err != nil {
		return err
	}
	const size = len("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n")
	_, err := io.ReadFull(conn, answer[:size])
	return err
}

// room returns how many connections a process may have, at most want.
func room(t *testing.T, want int) int {
	t.Helper()
	var limit unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	return int(min(uint64(want), limit.Cur-500)) // the Go runtime raised it as far as possible
}

// agent is a running agent that is scraped, in a control group of its own.
type agent struct {
	*harness.Process
	t       *testing.T
	group   *harness.MemoryGroup
	metrics string
}

func startAgent(t *testing.T, plan survey.Plan, limit uint64, env ...string) *agent {
	t.Helper()
	a := &agent{t: t, group: harness.NewMemoryGroup(t), metrics: harness.FreeAddress(t)}
	if limit > 0 {
		a.group.Limit(limit)
	}
	cmd := a.group.Command(harness.Lapwing(t), "run", "--prometheus-listen", a.metrics, "--probe-plan", string(plan))
	cmd.Env = append(os.Environ(), env...)
	a.Process = harness.Start(t, cmd)
	harness.Eventually(t, 20*time.Second, "the probes to be attached", func() bool {
		require.False(t, a.Exited(), "the agent ended: %s", a.Stderr())
		return strings.Contains(a.Stderr(), "probes attached")
	})
	return a
}

// page returns the metrics that the agent serves.
func (a *agent) page() string {
	a.t.Helper()
	page, _, err := harness.Scrape(a.metrics)
	require.NoError(a.t, err, a.Stderr())
	return page
}

// cpu returns the CPU time that the agent has used.
func (a *agent) cpu() time.Duration {
	a.t.Helper()
	var id unix.Timespec
	// The clock of a process: its complemented id, shifted, and 2 for all
	// threads.
	require.NoError(a.t, unix.ClockGettime(int32(^a.PID()<<3|2), &id))
	return time.Duration(id.Nano())
}
