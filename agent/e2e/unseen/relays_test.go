package unseen

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
	"lapwing/probes/socket/survey"
)

// relay passes bytes on without reading them.
type relay struct {
	name  string
	start func(t *testing.T, address, back string)
	unix  bool
}

func relays() []relay {
	const both = "option splice-request\n option splice-response"
	return []relay{
		{name: "HAProxy", start: haproxy("tcp", both)},
		{name: "HAProxy that may", start: haproxy("tcp", "option splice-auto")},
		{name: "HAProxy, unix", start: haproxy("tcp", both), unix: true},
		{name: "HAProxy that reads heads", start: haproxy("http", both)},
		{name: "Go", start: goRelay},
		{name: "Go, unix", start: goRelay, unix: true},
	}
}

func haproxy(mode, option string) func(*testing.T, string, string) {
	return func(t *testing.T, address, back string) {
		conf := filepath.Join(harness.OpenDir(t), "haproxy.cfg")
		bind := strings.TrimPrefix(local(address), "unix:")
		require.NoError(t, os.WriteFile(conf, []byte(fmt.Sprintf(`global
 maxconn 100
defaults
 mode %s
 %s
 timeout connect 5s
 timeout client 9s
 timeout server 9s
frontend f
 bind %s
 default_backend b
backend b
 server s %s
`, mode, option, bind, back)), 0o644))
		harness.Start(t, exec.Command(harness.Installed(t, "haproxy"), "-db", "-f", conf))
	}
}

const spliceListen, spliceBack = "LAPWING_UNSEEN_LISTEN", "LAPWING_UNSEEN_BACK"

func goRelay(t *testing.T, address, back string) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), spliceListen+"="+address, spliceBack+"="+back)
	harness.Start(t, cmd)
}

// splice is the relay in Go, whose io.Copy splices from socket to socket. It
// returns if this process is not a relay.
func splice() {
	address := os.Getenv(spliceListen)
	if address == "" {
		return
	}
	l, err := net.Listen(network(address), address)
	for err == nil {
		var c net.Conn
		if c, err = l.Accept(); err == nil {
			go passOn(c)
		}
	}
	fmt.Fprintln(os.Stderr, "relay:", err)
	os.Exit(1)
}

func passOn(c net.Conn) {
	defer c.Close()
	up, err := net.Dial("tcp", os.Getenv(spliceBack))
	if err != nil {
		return
	}
	defer up.Close()
	go func() {
		_, _ = io.Copy(up, c)
		_ = up.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(c, up)
}

// answers starts a back end whose responses have the requested length.
func answers(t *testing.T) (address string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		w.Header().Set("Content-Length", fmt.Sprint(max(10, len(body))))
		_, _ = w.Write(bytes.Repeat([]byte("r"), max(10, len(body))))
	})}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	return l.Addr().String()
}

// asks sends n requests one after the other on a connection, each with a body
// of this length, and closes it. It returns their paths.
func asks(t *testing.T, address, name string, n, body int) (paths []string) {
	c, err := net.Dial(network(address), address)
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.SetDeadline(time.Now().Add(harness.Slow(20*time.Second))))
	from := bufio.NewReader(c)
	for i := range n {
		path := fmt.Sprintf("/%s/%d", name, i)
		request := "GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n"
		if body > 0 {
			request = fmt.Sprintf("POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", path, body, strings.Repeat("q", body))
		}
		_, err = io.WriteString(c, request)
		require.NoError(t, err)
		r, err := http.ReadResponse(from, nil)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, r.Body)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, r.StatusCode)
		paths = append(paths, path)
	}
	return paths
}

// TestRelays has relays that splice. What is reported of a connection must be
// complete. A connection that is not reported completely must be counted once.
func TestRelays(t *testing.T) {
	all := relays()
	back := answers(t)
	addresses := make([]string, len(all))
	args := []string{"--port", "1"}
	for i, r := range all {
		addresses[i] = filepath.Join(harness.OpenDir(t), "relay")
		if !r.unix {
			addresses[i] = harness.FreeAddress(t)
			args = append(args, "--port", harness.Port(t, addresses[i]))
		}
		r.start(t, addresses[i], back)
	}
	for _, address := range addresses {
		harness.Eventually(t, waitForLast, "a listener at "+address, func() bool {
			c, err := net.Dial(network(address), address)
			return err == nil && c.Close() == nil
		})
	}
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		trace := harness.StartTrace(t, plan, args...)
		uploads, questions := make([][]talk, len(all)), make([][]talk, len(all))
		t.Run("relay", func(t *testing.T) {
			for i, r := range all {
				t.Run(r.name, func(t *testing.T) {
					t.Parallel()
					uploads[i] = talks(t, addresses[i], "up", 300_000)
					questions[i] = talks(t, addresses[i], "ask", 0)
				})
			}
		})
		time.Sleep(waitForLast / 5)
		records, unseen := trace.Finish(), 0
		for i, r := range all {
			up, ask := partly(t, records, uploads[i]), partly(t, records, questions[i])
			t.Logf("%s: connections not seen whole: uploads %d, questions %d", r.name, up, ask)
			unseen += up + ask
		}
		assert.Equal(t, map[string]int{"bytes_not_visible": unseen}, harness.Unknown(trace.Stderr()))
		assert.NotZero(t, unseen, "nothing was spliced")
		assert.Contains(t, trace.Stderr(), " 0 lost")
		for _, r := range records {
			assert.NotEmpty(t, r.Path, "an invented request: %s", r.Line)
		}
	})
}

// talk holds the requests of one connection.
type talk struct {
	address string
	paths   []string
	body    int
}

// talks opens connections with requests one after the other.
func talks(t *testing.T, address, name string, body int) (all []talk) {
	const connections, requests = 4, 25
	for i := range connections {
		all = append(all, talk{address, asks(t, address, fmt.Sprintf("%s/%d", name, i), requests, body), body})
	}
	return all
}

// partly returns how many of the connections lack a request.
func partly(t *testing.T, all []harness.Record, talks []talk) (n int) {
	for _, talk := range talks {
		if talk.reported(t, all) < len(talk.paths) {
			n++
		}
	}
	return n
}

// reported returns how many of the requests are reported. Each must be
// complete.
func (k talk) reported(t *testing.T, all []harness.Record) (n int) {
	for _, r := range all {
		if r.Local != local(k.address) || !slices.Contains(k.paths, r.Path) {
			continue
		}
		n++
		assert.True(t, r.Status == http.StatusOK && r.Error == "" && r.RequestBytes != nil && *r.RequestBytes >= uint64(k.body) &&
			r.ResponseBytes != nil && *r.ResponseBytes >= uint64(k.body), "not whole: %s", r.Line)
	}
	assert.LessOrEqual(t, n, len(k.paths), "reported twice")
	return n
}
