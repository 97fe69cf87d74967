package soak

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
)

// victim is a server with a log of its own, with one line for each request that
// starts with the status.
type victim struct {
	*harness.Process
	service string // the name that the agent is configured with
	address string
	log     string
}

// served returns the number of requests that the server answered as expected.
func (v *victim) served(t *testing.T) (n uint64) {
	t.Helper()
	f, err := os.Open(v.log)
	require.NoError(t, err)
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "200 ") {
			n++
		}
	}
	return n
}

func startNginx(t *testing.T) *victim {
	t.Helper()
	dir := harness.OpenDir(t)
	v := &victim{service: "victim-nginx", address: harness.FreeAddress(t), log: filepath.Join(dir, "access.log")}
	conf := fmt.Sprintf(`daemon off; worker_processes 2; pid %[1]s/pid; error_log /dev/null;
events { worker_connections 4096; }
http { log_format status "$status $uri"; access_log %[3]s status; client_body_temp_path %[1]s; proxy_temp_path %[1]s; fastcgi_temp_path %[1]s; uwsgi_temp_path %[1]s; scgi_temp_path %[1]s;
server { listen %[2]s backlog=1024; location / { return 200 "ok"; } } }`, dir, v.address, v.log)
	file := filepath.Join(dir, "nginx.conf")
	require.NoError(t, os.WriteFile(file, []byte(conf), 0o644))
	v.Process = harness.Start(t, exec.Command(harness.Installed(t, "nginx"), "-c", file))
	harness.AwaitListener(t, v.Process, v.address)
	return v
}

const application = `def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "3")])
    return [b"ok\n"]
`

// startGunicorn starts gunicorn with threads, so that a thread that waits for
// the rest of a head blocks no other request.
func startGunicorn(t *testing.T) *victim {
	t.Helper()
	dir := harness.OpenDir(t)
	v := &victim{service: "victim-gunicorn", address: harness.FreeAddress(t), log: filepath.Join(dir, "access.log")}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "application.py"), []byte(application), 0o644))
	v.Process = harness.Start(t, exec.Command(harness.Installed(t, "gunicorn"), "--chdir", dir, "--bind", v.address,
		"--workers", "2", "--worker-class", "gthread", "--threads", "8", "--worker-tmp-dir", dir, "--graceful-timeout", "5",
		"--log-level", "critical", "--access-logfile", v.log, "--access-logformat", "%(s)s %(U)s", "application:app"))
	harness.AwaitListener(t, v.Process, v.address)
	return v
}

// load is a number of clients of a server.
type load struct {
	answered atomic.Uint64
	slowest  atomic.Int64          // response, in nanoseconds
	failed   atomic.Pointer[error] // the last request without a response
	stop     chan struct{}
	all      sync.WaitGroup
}

// startLoad starts clients, half of which keep their connections open.
func startLoad(t *testing.T, v *victim, clients int, pause time.Duration) *load {
	l := &load{stop: make(chan struct{})}
	for i := range clients {
		client := &http.Client{Timeout: harness.Slow(20 * time.Second), Transport: &http.Transport{DisableKeepAlives: i%2 == 1}}
		l.all.Go(func() {
			defer client.CloseIdleConnections()
			for {
				select {
				case <-l.stop:
					return
				case <-time.After(pause):
				}
				began := time.Now()
				if err := ask(client, "http://"+v.address+"/load"); err != nil {
					l.failed.Store(&err)
					return
				}
				l.slowest.Store(max(l.slowest.Load(), int64(time.Since(began))))
				l.answered.Add(1)
			}
		})
	}
	t.Cleanup(l.end)
	return l
}

func ask(client *http.Client, url string) error {
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	return nil
}

// end waits for the last responses.
func (l *load) end() {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.all.Wait()
}
