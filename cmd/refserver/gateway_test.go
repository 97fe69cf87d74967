package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/fcgi"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var gatewayProtocols = []string{"http", "fastcgi", "uwsgi", "scgi"}

// TestDaemonBehindNginx tests each protocol with a front end of another
// project.
func TestDaemonBehindNginx(t *testing.T) {
	dir := t.TempDir()
	var locations strings.Builder
	daemons := make(map[string]*server)
	for protocol, directives := range map[string]string{
		"fastcgi": "include /etc/nginx/fastcgi_params; fastcgi_pass %s;",
		"uwsgi":   "include /etc/nginx/uwsgi_params; uwsgi_pass %s;",
		"scgi":    "include /etc/nginx/scgi_params; scgi_pass %s;",
		"http":    "proxy_set_header Host $host; proxy_pass http://%s;",
	} {
		listen := "127.0.0.1:0"
		if protocol == "uwsgi" {
			listen = "unix:" + filepath.Join(dir, "uwsgi.sock")
		}
		d := startAt(t, "daemon", listen, "--protocol", protocol, "--workers", "1")
		daemons[protocol] = d
		fmt.Fprintf(&locations, "location /%s/ { rewrite ^/%s(/.*)$ $1 break; "+directives+" }\n", protocol, protocol, d.addr)
	}
	// REQUEST_URI is what the client sent: the daemon must use PATH_INFO.
	front := startNginx(t, dir, strings.ReplaceAll(locations.String(), "include", "%PATHINFO% include"))
	content := strings.Repeat("lapwing ", 50_000)
	for protocol, d := range daemons {
		for _, c := range []struct{ method, path, body, want string }{
			{"GET", "/fast?id=n1", "", "fast\n"},
			{"GET", "/nope", "", "there is no such route"},
			{"POST", "/upload?id=n2", content, fmt.Sprintln(len(content))},
			{"GET", "/big?kb=500", "", "lapwing"},
			{"GET", "/file?kb=500", "", "\x00"},
			{"GET", "/stream?chunks=3&ms=1", "", "lapwing"},
		} {
			r, err := http.NewRequest(c.method, "http://"+front+"/"+protocol+c.path, strings.NewReader(c.body))
			require.NoError(t, err)
			resp, body := do(t, http.DefaultClient, r)
			assert.Contains(t, body, c.want, "%s %s %s: status %d, %.100q", protocol, c.method, c.path, resp.StatusCode, body)
		}
		lines := d.stop()
		if assert.Len(t, lines, 6, "%s: lines of truth", protocol) {
			assert.Equal(t, "n1", lines[0].ID, "%s: truth is %+v", protocol, lines)
			assert.Equal(t, "n2", lines[2].ID, "%s: truth is %+v", protocol, lines)
		}
	}
}

// startNginx starts nginx on a free port and returns its address.
func startNginx(t *testing.T, dir, locations string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	_ = l.Close()
	pathInfo := map[string]string{"fastcgi": "fastcgi_param", "uwsgi": "uwsgi_param", "scgi": "scgi_param"}
	for protocol, directive := range pathInfo {
		params, err := os.ReadFile("/etc/nginx/" + protocol + "_params")
		require.NoError(t, err)
		var kept bytes.Buffer
		for line := range bytes.Lines(params) {
			if !bytes.Contains(line, []byte("REQUEST_URI")) && !bytes.Contains(line, []byte("PATH_INFO")) {
				kept.Write(line)
			}
		}
		fmt.Fprintf(&kept, "%s PATH_INFO $uri;\n", directive)
		file := filepath.Join(dir, protocol+"_params")
		require.NoError(t, os.WriteFile(file, kept.Bytes(), 0o600))
		locations = strings.ReplaceAll(locations, "%PATHINFO% include /etc/nginx/"+protocol+"_params", "include "+file)
	}
	conf := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf("daemon off; worker_processes 1; user root; pid %[1]s/nginx.pid; error_log %[1]s/error.log;\n"+
		"events {}\nhttp { access_log off; client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f;\n"+
		"uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;\nserver { listen %[2]s;\n%[3]s} }\n", dir, addr, locations)
	require.NoError(t, os.WriteFile(conf, []byte(text), 0o600))
	cmd := exec.Command("nginx", "-e", filepath.Join(dir, "error.log"), "-c", conf)
	said := new(output)
	cmd.Stderr = said
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	eventually(t, "nginx listens: "+said.String(), func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return addr
}

// TestFrontBeforeFCGI tests FastCGI of the front end with an application server
// of another project.
func TestFrontBeforeFCGI(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	go func() {
		_ = fcgi.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			w.Header().Set("X-Seen", r.Header.Get("User-Agent"))
			w.WriteHeader(418)
			fmt.Fprintf(w, "%s %s %s %d", r.Method, r.URL.RequestURI(), r.Header.Get("X-Request-Id"), len(body))
		}))
	}()
	s := start(t, "front", "--workers", "1", "--upstream", "fastcgi://"+l.Addr().String())
	r := s.request("POST", "/some/where?id=x1&a=b", strings.NewReader(strings.Repeat("x", 100_000)))
	r.Header.Set("User-Agent", "teapot")
	resp, body := do(t, s.client(), r)
	assert.Equal(t, 418, resp.StatusCode, "%q", body)
	assert.Equal(t, "POST /some/where?id=x1&a=b x1 100000", body)
	assert.Equal(t, "teapot", resp.Header.Get("X-Seen"))
}

// TestDaemonNonsense sends malformed input in each protocol.
func TestDaemonNonsense(t *testing.T) {
	begin := "\x01\x01\x00\x01\x00\x08\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00"
	for protocol, frames := range map[string][]string{
		"fastcgi": {
			"GET / HTTP/1.1\r\n\r\n",
			"\x02\x01\x00\x01\x00\x08\x00\x00garbage!",
			"\x01\x01\x00\x01\x00\x08\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00",                      // an unknown role
			"\x01\x05\x00\x01\x00\x00\x00\x00",                                                      // a body without a request
			begin + "\x01\x04\x00\x02\x00\x00\x00\x00",                                              // parameters of another request
			begin + "\x01\x04\x00\x01\x00\x02\x00\x00\x7f\x7f" + "\x01\x04\x00\x01\x00\x00\x00\x00", // lengths beyond the end of the stream
			begin + "\x01\x04\x00\x01\x00\x00\x00\x00",                                              // no variables at all
			begin + "\x01\x02\x00\x01\x00\x00\x00\x00",                                              // aborted
		},
		"uwsgi": {"GET / HTTP/1.1\r\n\r\n", "\x00\x04\x00\x00\xff\xff\xff\xff", "\x00\x00\x00\x05", "\x00\x00\x00\x00"},
		"scgi":  {"GET / HTTP/1.1\r\n\r\n", "99999999:x", "3:abcd", "4:a\x00bc,", "0:,"},
	} {
		s := start(t, "daemon", "--protocol", protocol, "--workers", "1")
		for _, frame := range frames {
			c := s.dial()
			_, err := io.WriteString(c, frame)
			require.NoError(t, err)
			answer, err := io.ReadAll(c)
			assert.NoError(t, err, "%s: %q is answered with %q", protocol, frame, answer)
			assert.Contains(t, string(answer), "400 Bad Request", "%s: answer to %q", protocol, frame)
			_ = c.Close()
		}
		for _, l := range s.stop() {
			assert.Equal(t, 400, l.Status, "%s: truth is %+v", protocol, l)
		}
	}
}

// TestHopIDs checks that a request has the same id at the front end and at the
// daemon, and that the times of the daemon are within those of the front end.
func TestHopIDs(t *testing.T) {
	for _, protocol := range gatewayProtocols {
		back := start(t, "daemon", "--protocol", protocol, "--workers", "2")
		s := start(t, "front", "--workers", "1", "--upstream", protocol+"://"+back.addr)
		s.get("/sleep?ms=3&id=hop")
		outer, inner := s.stop()[0], back.stop()[0]
		about := fmt.Sprintf("%s: in front %+v, behind %+v", protocol, outer, inner)
		require.Equal(t, "hop", outer.ID, about)
		require.Equal(t, "hop", inner.ID, about)
		require.Equal(t, "proxy", outer.Route, about)
		require.Equal(t, "/sleep", inner.Route, about)
		assert.GreaterOrEqual(t, inner.AcceptNS, outer.AppEnterNS, about)
		assert.LessOrEqual(t, inner.WriteEnterNS, outer.AppLeaveNS, about)
		assert.GreaterOrEqual(t, inner.AppLeaveNS-inner.AppEnterNS, int64(3e6), about)
	}
}

// TestFrontSlowClient checks that the front end, not the daemon, waits for slow
// clients, in both directions.
func TestFrontSlowClient(t *testing.T) {
	back := start(t, "daemon", "--protocol", "fastcgi", "--workers", "1")
	s := start(t, "front", "--workers", "1", "--upstream", "fastcgi://"+back.addr)
	slow := s.dial()
	_, err := io.WriteString(slow, "POST /upload HTTP/1.0\r\nContent-Length: 10\r\n\r\n12345")
	require.NoError(t, err)
	_, body := s.get("/fast")
	assert.Equal(t, "fast\n", body, "beside a slow client")
	_, err = io.WriteString(slow, "67890")
	require.NoError(t, err)
	answer, err := io.ReadAll(slow)
	assert.NoError(t, err, "the slow client got %q", answer)
	assert.True(t, strings.HasSuffix(string(answer), "\r\n\r\n10\n"), "the slow client got %q", answer)
	big := s.dial()
	_, err = io.WriteString(big, "GET /big?kb=30000 HTTP/1.0\r\n\r\n")
	require.NoError(t, err)
	_, body = s.get("/file?kb=1")
	assert.Equal(t, 1<<10, len(body), "bytes beside a slow reader")
	answer, err = io.ReadAll(big)
	_, body, _ = strings.Cut(string(answer), "\r\n\r\n")
	assert.NoError(t, err, "the slow reader got %d bytes", len(body))
	assert.Equal(t, 30000<<10, len(body), "bytes that the slow reader got")
}

// TestFrontBadUpstream has upstream servers that fail in every way.
func TestFrontBadUpstream(t *testing.T) {
	for _, c := range []struct {
		name, answer, want string
		status             int
	}{
		{"silent", "", "without a response", 502},
		{"nonsense", "lorem ipsum\r\n\r\n", "malformed", 502},
		{"bad status", "HTTP/1.0 999 What\r\n\r\n", "malformed", 502},
		{"bad length", "HTTP/1.0 200 OK\r\nContent-Length: many\r\n\r\n", "malformed", 502},
		{"endless head", "HTTP/1.0 200 OK\r\nX: " + strings.Repeat("a", 70<<10), "malformed", 502},
		{"good", "HTTP/1.0 200 OK\r\n\r\nhello", "hello", 200},
		{"no content", "HTTP/1.0 204 No Content\r\n\r\n", "", 204},
	} {
		s := start(t, "front", "--workers", "1", "--upstream", "http://"+answerWith(t, c.answer))
		resp, body := s.get("/x")
		assert.Equal(t, c.status, resp.StatusCode, "%s: %q", c.name, body)
		assert.Contains(t, body, c.want, c.name)
	}
	s := start(t, "front", "--workers", "1", "--upstream", "http://127.0.0.1:1")
	resp, refused := s.get("/x")
	assert.Equal(t, 502, resp.StatusCode, "nobody listens: %q", refused)
	assert.Contains(t, refused, "connection refused", "nobody listens")
	// A response that ends too early must not look complete.
	s = start(t, "front", "--workers", "1", "--upstream", "http://"+answerWith(t, "HTTP/1.0 200 OK\r\nContent-Length: 10\r\n\r\nhello"))
	client := s.client()
	resp, err := client.Do(s.request("GET", "/x", nil))
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	assert.ErrorIs(t, err, io.ErrUnexpectedEOF, "short response: %q", body)
	assert.Equal(t, "hello", string(body), "short response")
}

// answerWith starts a server that responds to every request with the same bytes
// and closes.
func answerWith(t *testing.T, answer string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 64<<10))
			_, _ = io.WriteString(c, answer)
			_ = c.Close()
		}
	}()
	return l.Addr().String()
}

func TestDaemonThreads(t *testing.T) {
	s := start(t, "daemon", "--workers", "2", "--threads", "2")
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() { s.get("/sleep?ms=200") })
	}
	all.Wait()
	assert.Len(t, s.workers().Workers, 4, "workers on the board")
	pids, workers := make(map[int]bool), make(map[int]bool)
	for _, l := range s.stop() {
		if l.Route == "/sleep" {
			pids[l.PID], workers[l.Worker] = true, true
		}
	}
	assert.Len(t, pids, 2, "processes that served")
	assert.Len(t, workers, 4, "workers that served")
}

func TestBadGatewayStart(t *testing.T) {
	for _, c := range []struct {
		want string
		args []string
	}{
		{`unknown protocol "smtp"`, []string{"--arch", "daemon", "--protocol", "smtp"}},
		{`upstream ""`, []string{"--arch", "front"}},
		{`upstream "ftp://x"`, []string{"--arch", "front", "--upstream", "ftp://x"}},
	} {
		assert.Contains(t, mustFail(t, c.args...), c.want, "refserver %v", c.args)
	}
}
