package servers

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
	"lapwing/collectors/request"
	"lapwing/probes/socket/survey"
)

// trap is a server in a special situation.
type trap struct {
	server
	play func(t *testing.T, s *standing, trace *harness.Trace, run string)
}

func traps() []trap {
	return []trap{sentByThreads(), answeredBeforeRead(), answeredBeforeReadBy404(), uploadPassedOn(), connectedIsNotAccepted()}
}

// TestTraps tests behaviour of real servers that would mislead a naive
// observer.
func TestTraps(t *testing.T) {
	rows := traps()
	var all []server
	for _, tr := range rows {
		all = append(all, tr.server)
	}
	servers := startAll(t, all)
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		trace := harness.StartTrace(t, plan, portsOf(t, servers)...)
		for i, s := range servers {
			t.Run(s.name, func(t *testing.T) {
				if s.leftOut != "" {
					t.Skip(s.leftOut)
				}
				rows[i].play(t, s, trace, string(plan))
			})
		}
		trace.Finish()
	})
}

// only waits for the single record of a path.
func only(t *testing.T, trace *harness.Trace, s *standing, path string) (r harness.Record, m moments) {
	t.Helper()
	var own []harness.Record
	harness.Within(3*time.Second, func() bool {
		own = withPath(trace.Records(harness.At(s.at.address)), path)
		return len(own) > 0
	})
	require.Equal(t, 1, len(own), "records for %s", path)
	m, err := momentsOf(own[0])
	require.NoError(t, err)
	return own[0], m
}

func dial(t *testing.T, s *standing) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", s.at.address, harness.Slow(5*time.Second))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(harness.Slow(10*time.Second))))
	return conn, bufio.NewReader(conn)
}

// The slow reader reads a big file in pieces with pauses between them.
const (
	bigFile   = 8 << 20
	pieces    = 8
	readPause = 20 * time.Millisecond
)

// sentByThreads is Apache's event MPM, in which any free thread continues a
// response whose reader was slow.
func sentByThreads() trap {
	s := apache(server{
		name: "Apache event, a body from several threads", needs: []need{apachePkg},
		files: []file{{"big.bin", strings.Repeat("x", bigFile)}},
	}, eventMPM, "EnableSendfile On\nEnableMMAP Off\nSendBufferSize 65536\n")
	return trap{s, func(t *testing.T, s *standing, trace *harness.Trace, run string) {
		conn, in := dial(t, s)
		require.NoError(t, conn.(*net.TCPConn).SetReadBuffer(64<<10))
		began := request.Now()
		write(t, conn, "GET /big.bin HTTP/1.1\r\nHost: example.test\r\nX-Run: "+run+"\r\n\r\n")
		resp, err := http.ReadResponse(in, nil)
		require.NoError(t, err)
		for range pieces {
			time.Sleep(readPause)
			_, err = io.CopyN(io.Discard, resp.Body, bigFile/pieces)
			require.NoError(t, err)
		}
		took := time.Duration(request.Now() - began)
		r, _ := only(t, trace, s, "/big.bin")
		waited := time.Duration(pieces-1) * readPause
		p := newProblems(t)
		p.check(r.Status == 200 && value(r.ResponseBytes) > bigFile, "the body is not all there: %s", r.Line)
		p.check(sum(r.WriteBack) > waited-2*readPause && sum(r.WriteBack) <= took+slack(), "write_back is not the %s of the reader: %s", took, r.Line)
		p.check(sum(r.Blocked) > sum(r.WriteBack)/2, "the reader's pauses are not blocked: %s", r.Line)
		p.report()
	}}
}

func value(n *uint64) uint64 {
	if n == nil {
		return 0
	}
	return *n
}

func write(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	_, err := io.WriteString(conn, text)
	require.NoError(t, err)
}

func answeredBeforeRead() trap {
	return trap{server{
		name: "nginx, answered before the body is read", service: "nginx",
		needs: []need{nginxPkg}, command: nginx,
		files: []file{nginxConf(`location / { return 200 "early\n"; }`)},
	}, answersEarly(200)}
}

func answeredBeforeReadBy404() trap {
	return trap{server{
		name: "lighttpd, answered before the body is read", service: "lighttpd",
		needs: []need{lighttpdPkg}, files: []file{{"lighttpd.conf", lighttpdConf}}, command: lighttpd,
	}, answersEarly(404)}
}

// answersEarly sends half of a body, and the rest after it has received the
// response.
func answersEarly(status int) func(*testing.T, *standing, *harness.Trace, string) {
	return func(t *testing.T, s *standing, trace *harness.Trace, run string) {
		const half = 40_000
		conn, in := dial(t, s)
		path := "/early/" + run
		write(t, conn, fmt.Sprintf("POST %s HTTP/1.1\r\nHost: example.test\r\nContent-Length: %d\r\n\r\n%s",
			path, 2*half, strings.Repeat("x", half)))
		_ = conn.SetReadDeadline(time.Now().Add(harness.Slow(300 * time.Millisecond)))
		_, err := in.Peek(1)
		early := err == nil
		_ = conn.SetReadDeadline(time.Now().Add(harness.Slow(10 * time.Second)))
		if !early {
			write(t, conn, strings.Repeat("x", half))
		}
		resp, err := http.ReadResponse(in, nil)
		require.NoError(t, err)
		if early {
			// The server continues to read, or has closed the connection.
			_, _ = io.WriteString(conn, strings.Repeat("x", half))
		}
		_ = conn.Close()
		r, _ := only(t, trace, s, path)
		p := newProblems(t)
		p.check(resp.StatusCode == status && r.Status == status, "status is not %d: %s", status, r.Line)
		p.check(r.Has("early_response") == early, "the response came before the body, %t: %s", early, r.Line)
		p.check(!early || sum(r.App) == 0, "app of an early response: %s", r.Line)
		p.report()
	}
}

// uploadPassedOn is nginx in front of an application. It reads the whole body,
// keeps it in a file, and only then connects and sends it with sendfile.
func uploadPassedOn() trap {
	s := nginxToGunicorn("nginx, a body kept in a file", "4", `client_body_buffer_size 1k; client_body_in_file_only on;`)
	return trap{s, func(t *testing.T, s *standing, trace *harness.Trace, run string) {
		const size = 300_000
		conn, in := dial(t, s)
		path := "/work/20/200/" + run + "-upload"
		write(t, conn, fmt.Sprintf("POST %s HTTP/1.1\r\nHost: example.test\r\nConnection: close\r\nContent-Length: %d\r\n\r\n", path, size))
		for range 3 {
			time.Sleep(gap)
			write(t, conn, strings.Repeat("x", size/3))
		}
		resp, err := http.ReadResponse(in, nil)
		require.NoError(t, err)
		r, _ := only(t, trace, s, path)
		p := newProblems(t)
		p.check(resp.StatusCode == 200 && r.Status == 200, "status: %s", r.Line)
		p.check(value(r.RequestBytes) > size, "the body is not all there: %s", r.Line)
		p.check(sum(r.Parse) > 3*gap-slack() && sum(r.ClientWait) > 2*gap, "reading the body is not parse: %s", r.Line)
		p.check(sum(r.App) > 18*time.Millisecond && sum(r.App) < harness.Slow(3*gap), "app is not that of 20 ms: %s", r.Line)
		p.report()
	}}
}

// connectedIsNotAccepted is a worker with a queue before it. nginx connects at
// once, so its $upstream_connect_time does not include the wait in the listen
// backlog of the upstream.
func connectedIsNotAccepted() trap {
	s := server{
		name: "nginx, connected is not accepted", service: "gunicorn", workers: 1, waits: inBacklog, threads: sameThread,
		needs: []need{nginxPkg, gunicornPkg}, command: gunicorn("--worker-class", "sync", "--workers", "1"),
		files: []file{wsgiFile, {"front", ""}},
	}
	front := nginxConf(`location / { proxy_pass http://UPSTREAM; }`)
	front.content = strings.Replace(front.content, "$upstream_response_time", "$upstream_connect_time", 1)
	return trap{s, func(t *testing.T, s *standing, trace *harness.Trace, run string) {
		at := place{harness.OpenDir(t), harness.FreeAddress(t)}
		writeFiles(t, at, []file{{front.name, strings.ReplaceAll(front.content, "UPSTREAM", s.at.address)}})
		proxy := start(t, at, nginx)
		harness.AwaitListener(t, proxy, at.address)
		const clients = 6
		var all sync.WaitGroup
		for i := range clients {
			all.Go(func() {
				cl := &client{address: at.address, closes: true, patience: 10 * time.Second}
				defer cl.hangUp()
				_, err := cl.ask("/work/20/200/"+run+"-"+strconv.Itoa(i), false)
				assert.NoError(t, err)
			})
		}
		all.Wait()
		var connect, backlog []time.Duration
		for i := range clients {
			r, _ := only(t, trace, s, "/work/20/200/"+run+"-"+strconv.Itoa(i))
			backlog = append(backlog, sum(r.Backlog))
		}
		for _, line := range linesOf(t, at.file("access.log"), run) {
			words := strings.Fields(line)
			seconds, err := strconv.ParseFloat(words[len(words)-1], 64)
			require.NoError(t, err, "line %q", line)
			connect = append(connect, time.Duration(seconds*float64(time.Second)))
		}
		assert.True(t, len(connect) == clients && slices.Max(backlog) >= 50*time.Millisecond && slices.Max(connect) <= slices.Max(backlog)/3,
			"nginx connected within %s, the requests waited %s", connect, backlog)
	}}
}
