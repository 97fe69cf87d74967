package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"lapwing/cmd/refserver/truth"
)

// asServer makes the test binary act as refserver. So the tests use the real
// program, in processes of its own, without building it first.
const asServer = "REFSERVER_TEST_RUN"

// patience is how long the tests wait for what should happen immediately.
const patience = 20 * time.Second

func TestMain(m *testing.M) {
	if os.Getenv(asServer) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// server is a refserver under test.
type server struct {
	t      *testing.T
	cmd    *exec.Cmd
	addr   string
	truth  string
	stderr *output
	exited chan error
}

// output is what a process has printed so far.
type output struct {
	mu   sync.Mutex
	text []byte
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text = append(o.text, p...)
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.text)
}

func command4test(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	// Under the race detector a process sleeps for a second before it ends.
	cmd.Env = append(os.Environ(), asServer+"=1", "GORACE=atexit_sleep_ms=0")
	return cmd
}

// start starts a server on a free port and waits until it is ready.
func start(t *testing.T, arch string, args ...string) *server {
	t.Helper()
	return startAt(t, arch, "127.0.0.1:0", args...)
}

// startAt is like start, at an address. A front end gets an upstream server:
// front/scgi is one with an SCGI upstream server.
func startAt(t *testing.T, arch, listen string, args ...string) *server {
	t.Helper()
	if protocol, ok := strings.CutPrefix(arch, "front/"); ok {
		arch = "front"
		up := startAt(t, "daemon", "127.0.0.1:0", "--protocol", protocol, "--workers", "2", "--threads", "2")
		args = append(args, "--upstream", protocol+"://"+up.addr)
	}
	s := &server{
		t: t, truth: filepath.Join(t.TempDir(), "truth.jsonl"),
		stderr: new(output), exited: make(chan error, 1),
	}
	s.cmd = command4test(t, append([]string{"--arch", arch, "--listen", listen, "--truth", s.truth}, args...)...)
	s.cmd.Stderr = s.stderr
	stdout, err := s.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, s.cmd.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		_ = s.cmd.Wait()
		require.NoError(t, err, "the server never became ready: %s", s.stderr)
	}
	go func() {
		_, _ = io.Copy(io.Discard, stdout)
		s.exited <- s.cmd.Wait()
	}()
	t.Cleanup(s.kill)
	s.addr = strings.TrimSpace(strings.TrimPrefix(line, "listening on "))
	return s
}

// kill ends the server in any state.
func (s *server) kill() {
	if s.exited == nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.exited:
	case <-time.After(patience):
		_ = s.cmd.Process.Kill()
		<-s.exited
	}
	s.exited = nil
}

// stop ends the server with SIGTERM, checks its exit status and returns the
// truth.
func (s *server) stop() []truth.Line {
	s.t.Helper()
	require.NoError(s.t, s.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case err := <-s.exited:
		s.exited = nil
		require.NoError(s.t, err, "exit after SIGTERM: %s", s.stderr)
	case <-time.After(patience):
		require.Fail(s.t, "still running after SIGTERM", "waited for %v", patience)
	}
	return s.lines()
}

// lines reads the current content of the truth file.
func (s *server) lines() []truth.Line {
	s.t.Helper()
	data, err := os.ReadFile(s.truth)
	require.NoError(s.t, err)
	var lines []truth.Line
	for raw := range bytes.Lines(data) {
		var l truth.Line
		d := json.NewDecoder(bytes.NewReader(raw))
		d.DisallowUnknownFields()
		require.NoError(s.t, d.Decode(&l), "line %q of the truth file", raw)
		lines = append(lines, l)
	}
	return lines
}

func (s *server) network() (network, address string) {
	if path, ok := strings.CutPrefix(s.addr, "unix:"); ok {
		return "unix", path
	}
	return "tcp", s.addr
}

// dial opens a raw connection.
func (s *server) dial() net.Conn {
	s.t.Helper()
	network, address := s.network()
	c, err := net.DialTimeout(network, address, patience)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = c.Close() })
	require.NoError(s.t, c.SetDeadline(time.Now().Add(patience)))
	return c
}

// client returns an HTTP client with connections of its own.
func (s *server) client() *http.Client {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			network, address := s.network()
			return new(net.Dialer).DialContext(ctx, network, address)
		},
		ExpectContinueTimeout: patience,
	}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

func (s *server) url(path string) string { return "http://server.test" + path }

// get makes one GET request on a connection of its own.
func (s *server) get(path string) (*http.Response, string) {
	s.t.Helper()
	client := s.client()
	defer client.CloseIdleConnections()
	return do(s.t, client, s.request("GET", path, nil))
}

func (s *server) request(method, path string, body io.Reader) *http.Request {
	s.t.Helper()
	r, err := http.NewRequest(method, s.url(path), body)
	require.NoError(s.t, err)
	return r
}

func do(t *testing.T, client *http.Client, r *http.Request) (*http.Response, string) {
	t.Helper()
	resp, err := client.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(body)
}

// mustFail runs refserver with arguments that it must refuse, and returns its
// message.
func mustFail(t *testing.T, args ...string) string {
	t.Helper()
	out, err := command4test(t, args...).CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit, "refserver %v: want exit status 1; output %q", args, out)
	require.Equal(t, 1, exit.ExitCode(), "exit status of refserver %v: %v; output %q", args, err, out)
	require.Equal(t, 1, strings.Count(string(out), "\n"), "refserver %v said more than one line: %q", args, out)
	return string(out)
}

// eventually polls a condition.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !condition(); time.Sleep(time.Millisecond) {
		require.False(t, time.Now().After(end), "not within %v: %s", patience, what)
	}
}

// setLimit sets the limit of open files of another process.
func setLimit(t *testing.T, pid, files int) {
	t.Helper()
	limit := unix.Rlimit{Cur: uint64(files), Max: uint64(files)}
	require.NoError(t, unix.Prlimit(pid, unix.RLIMIT_NOFILE, &limit, nil))
}
