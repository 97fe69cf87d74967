package stitch

import (
	"fmt"
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

// caller is a threaded server. The path says what it does with the back end:
// /open opens a pool of connections, /use?n sends a request on one of them,
// /bad/… calls servers that do not answer.
const caller = `import errno, http.server, os, socket, sys, threading, time
(host, port), back, where = sys.argv[1].split(":"), sys.argv[2].split(":"), sys.argv[3]
back = (back[0], int(back[1]))
pool, lock = [], threading.Lock()
def opened():
    return socket.create_connection(back)
def ask(c, path):
    c.sendall(b"GET %s HTTP/1.1\r\nHost: other\r\nX-Id: %s\r\n\r\n" % (path, path[1:]))
    got = b""
    while not got.endswith(b"ok\n"):
        more = c.recv(4096)
        if not more: raise OSError("closed")
        got += more
full = None
def refused(kind):
    global full
    if kind == "unreachable":
        s = socket.socket(); s.setsockopt(socket.SOL_IP, socket.IP_TTL, 1)
        return s, ("240.0.0.1", 9)
    if kind == "tcp":
        return socket.socket(), ("127.0.0.1", 1)
    s = socket.socket(socket.AF_UNIX)
    if kind == "full":
        s.setblocking(False)
        if full is None:
            full = [socket.socket(socket.AF_UNIX)]; full[0].bind(where + "/full"); full[0].listen(0)
            while True:
                c = socket.socket(socket.AF_UNIX); c.setblocking(False); full.append(c)
                if c.connect_ex(where + "/full"): break
    if kind == "stale" and not os.path.exists(where + "/stale"):
        socket.socket(socket.AF_UNIX).bind(where + "/stale")
    return s, where + "/" + kind
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        what = self.path.split("/")
        if what[1] == "open":
            pool.extend(opened() for _ in range(4))
            time.sleep(.3)
        elif what[1] == "use":
            with lock: c = pool.pop()
            ask(c, b"/used-by-" + what[2].encode())
            with lock: pool.insert(0, c)
        else:
            s, address = refused(what[2])
            try: s.connect(address)
            except OSError: pass
            s.close()
        self.send_response(200); self.send_header("Content-Length", "3"); self.end_headers(); self.wfile.write(b"ok\n")
    def log_message(self, *a): pass
if "early" in sys.argv: pool.extend(opened() for _ in range(4))
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 100
Server((host, int(port)), Handler).serve_forever()
`

func startCaller(t *testing.T, back string, early ...string) string {
	t.Helper()
	return startScript(t, "/usr/bin/python3", "caller.py", caller, append([]string{back, harness.OpenDir(t)}, early...)...)
}

func get(t *testing.T, front, path string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: harness.Slow(wait)}
	assert.NoError(t, fetch(t.Context(), client, "http://"+front+path))
}

// recordOf returns the record of the request for a path, once it is printed.
func recordOf(t *testing.T, trace *harness.Trace, front, path string) harness.Record {
	t.Helper()
	var found []harness.Record
	harness.Within(wait, func() bool {
		found = trace.Records(func(r harness.Record) bool { return r.Local == front && r.Path == path })
		return len(found) > 0
	})
	require.Equal(t, 1, len(found), "records of %s", path)
	return found[0]
}

// TestPooledConnections checks that a call belongs to the request whose thread
// wrote it, regardless of what opened its connection: an earlier request that
// still exists, or the process before it served anything or before the agent
// started.
func TestPooledConnections(t *testing.T) {
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		back := startLogged(t)
		older := startCaller(t, back.address, "early")
		trace := harness.StartTrace(t, plan)
		defer trace.Finish()
		for name, front := range map[string]string{
			"by another request": startCaller(t, back.address),
			"before it served":   startCaller(t, back.address, "early"),
			"before the agent":   older,
		} {
			t.Run(name, func(t *testing.T) {
				opening := make(chan struct{})
				go func() {
					defer close(opening)
					if name == "by another request" {
						get(t, front, "/open")
					}
				}()
				time.Sleep(100 * time.Millisecond)
				const n = 6
				for i := range n {
					get(t, front, fmt.Sprintf("/use/%d", i))
				}
				<-opening
				for i := range n {
					r := recordOf(t, trace, front, fmt.Sprintf("/use/%d", i))
					if !assert.True(t, len(r.Calls) == 1 && r.Calls[0].Path == fmt.Sprintf("/used-by-%d", i), "request %d has the calls %+v", i, r.Calls) {
						continue
					}
					if took := r.Calls[0].Duration; assert.NotNil(t, took, "call %d has no duration: %s", i, r.Line) {
						assert.LessOrEqual(t, time.Duration(*took), 100*time.Millisecond,
							"call %d took too long, the time in the pool is not its own: %s", i, r.Line)
					}
				}
				if name == "by another request" {
					assert.Empty(t, recordOf(t, trace, front, "/open").Calls, "calls of the request that opened the pool")
				}
			})
		}
	})
}

// TestFailedCalls checks that a call that is refused at once is reported with
// the reason.
func TestFailedCalls(t *testing.T) {
	want := map[string]string{
		"full": "backlog_full", "stale": "connection_refused", "missing": "no_such_socket",
		"unreachable": "unreachable", "tcp": "connection_refused",
	}
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		trace := harness.StartTrace(t, plan)
		defer trace.Finish()
		front := startCaller(t, "127.0.0.1:1")
		for kind := range want { // the first one creates the socket that is full
			get(t, front, "/bad/"+kind+"/first")
			get(t, front, "/bad/"+kind)
		}
		for kind, reason := range want {
			r := recordOf(t, trace, front, "/bad/"+kind)
			at := slices.IndexFunc(r.Calls, func(c harness.Call) bool { return c.Error == reason })
			if !assert.True(t, at >= 0 && at == len(r.Calls)-1, "%s: the calls are %+v, want one that failed with %s", kind, r.Calls, reason) {
				continue
			}
			if peer := r.Calls[at].Peer; strings.Contains("full stale missing", kind) {
				assert.True(t, strings.HasSuffix(peer, "/"+kind), "%s: called %q", kind, peer)
			}
		}
	})
}

// TestSameAddresses has two network namespaces with the same addresses and few
// ports, so that the same addresses and ports are in use in both.
func TestSameAddresses(t *testing.T) {
	spaces := []string{"lapwing-a", "lapwing-b"}
	ip := harness.Installed(t, "ip")
	run := func(args ...string) {
		t.Helper()
		out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
		require.NoError(t, err, "%v: %s", args, out)
	}
	for _, space := range spaces {
		_ = exec.Command(ip, "netns", "del", space).Run()
		run(ip, "netns", "add", space)
		t.Cleanup(func() { _ = exec.Command(ip, "netns", "del", space).Run() })
		run(ip, "netns", "exec", space, "sh", "-c", `ip link set lo up; ip addr add 10.0.2.100/32 dev lo;
			echo 40000 40015 > /proc/sys/net/ipv4/ip_local_port_range; echo 0 > /proc/sys/net/ipv4/tcp_max_tw_buckets`)
	}
	const front, back = "10.0.2.100:18150", "10.0.2.100:18151"
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		trace := harness.StartTrace(t, plan)
		defer trace.Finish()
		for _, space := range spaces {
			startIn(t, space, front, back)
		}
		const n = 150
		done := make(chan error, len(spaces))
		for _, space := range spaces {
			go func() {
				self, err := os.Executable()
				if err != nil {
					done <- err
					return
				}
				client := exec.Command(ip, "netns", "exec", space, self)
				client.Env = append(os.Environ(), spaceClient+"="+front, spaceName+"="+space, fmt.Sprintf("%s=%d", spaceCount, n))
				out, err := client.CombinedOutput()
				if err != nil {
					err = fmt.Errorf("%s: %w: %s", space, err, out)
				}
				done <- err
			}()
		}
		for range spaces {
			assert.NoError(t, <-done)
		}
		var records []harness.Record
		harness.Within(wait, func() bool {
			records = trace.Records(func(r harness.Record) bool { return r.Local == back })
			return len(records) >= n*len(spaces)
		})
		owner := make(map[string]string)
		for _, r := range trace.Records(harness.At(front)) {
			for _, c := range r.Calls {
				owner[c.SpanID] = r.Path
			}
		}
		var o outcome
		for _, r := range records {
			switch owner[r.ParentSpanID] {
			case r.Path:
				o.right++
			case "":
				o.unjoined++
			default:
				o.wrong++
			}
		}
		if !assert.True(t, o.wrong == 0 && o.right >= n*len(spaces)*9/10, "%+v of %d", o, len(records)) {
			t.Log(trace.Stderr())
		}
	})
}

const (
	spaceClient = "LAPWING_STITCH_SPACE_CLIENT"
	spaceName   = "LAPWING_STITCH_SPACE_NAME"
	spaceCount  = "LAPWING_STITCH_SPACE_COUNT"
)

// spaceCaller is the process that sends requests from within a namespace.
func spaceCaller() {
	front := os.Getenv(spaceClient)
	if front == "" {
		return
	}
	var n int
	_, err := fmt.Sscan(os.Getenv(spaceCount), &n)
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 4, MaxIdleConnsPerHost: 4}, Timeout: harness.Slow(wait)}
	failed := make(chan error, 4)
	for k := range 4 {
		go func() {
			for i := k; i < n && err == nil; i += 4 {
				resp, e := client.Get(fmt.Sprintf("http://%s/%s/%d", front, os.Getenv(spaceName), i))
				if e != nil {
					failed <- e
					return
				}
				_ = resp.Body.Close()
			}
			failed <- nil
		}()
	}
	for range 4 {
		if e := <-failed; e != nil {
			fmt.Println(e)
			os.Exit(1)
		}
	}
	os.Exit(0)
}

func startIn(t *testing.T, space, front, back string) {
	t.Helper()
	ip, dir := harness.Installed(t, "ip"), harness.OpenDir(t)
	conf := filepath.Join(dir, "nginx.conf")
	write(t, conf, fmt.Sprintf(nginxFrame, dir, fmt.Sprintf("server { listen %s; location / { proxy_pass http://%s; } }", front, back)))
	write(t, filepath.Join(dir, "application.py"), application)
	enter := []string{"netns", "exec", space}
	harness.Start(t, exec.Command(ip, append(enter, harness.Installed(t, "gunicorn"), "--chdir", dir, "--bind", back, "--workers", "2",
		"--worker-tmp-dir", dir, "--log-level", "error", "application:app")...))
	harness.Start(t, exec.Command(ip, append(enter, harness.Installed(t, "nginx"), "-e", "stderr", "-p", dir, "-c", conf)...))
	for _, address := range []string{front, back} {
		host, port, _ := strings.Cut(address, ":")
		harness.Eventually(t, wait, address+" in "+space, func() bool {
			return exec.Command(ip, append(enter, "/usr/bin/python3", "-c",
				fmt.Sprintf("import socket; socket.create_connection((%q, %s))", host, port))...).Run() == nil
		})
	}
}
