package main

import (
	"bytes"
	"errors"
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
		if lines := d.stop(); len(lines) != 6 || lines[0].ID != "n1" || lines[2].ID != "n2" {
			t.Errorf("%s: truth is %+v", protocol, lines)
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
	if resp.StatusCode != 418 || body != "POST /some/where?id=x1&a=b x1 100000" || resp.Header.Get("X-Seen") != "teapot" {
		t.Errorf("status %d, X-Seen %q, %q", resp.StatusCode, resp.Header.Get("X-Seen"), body)
	}
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
			if err != nil || !strings.Contains(string(answer), "400 Bad Request") {
				t.Errorf("%s: %q is answered with %q, %v", protocol, frame, answer, err)
			}
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
		if outer.ID != "hop" || inner.ID != "hop" || outer.Route != "proxy" || inner.Route != "/sleep" {
			t.Fatalf("%s: in front %+v, behind %+v", protocol, outer, inner)
		}
		if inner.AcceptNS < outer.AppEnterNS || inner.WriteEnterNS > outer.AppLeaveNS || inner.AppLeaveNS-inner.AppEnterNS < 3e6 {
			t.Errorf("%s: in front %+v, behind %+v", protocol, outer, inner)
		}
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
	if _, body := s.get("/fast"); body != "fast\n" {
		t.Errorf("beside a slow client: %q", body)
	}
	_, err = io.WriteString(slow, "67890")
	require.NoError(t, err)
	if answer, err := io.ReadAll(slow); err != nil || !strings.HasSuffix(string(answer), "\r\n\r\n10\n") {
		t.Errorf("the slow client got %q, %v", answer, err)
	}
	big := s.dial()
	_, err = io.WriteString(big, "GET /big?kb=30000 HTTP/1.0\r\n\r\n")
	require.NoError(t, err)
	if _, body := s.get("/file?kb=1"); len(body) != 1<<10 {
		t.Errorf("beside a slow reader: %d bytes", len(body))
	}
	answer, err := io.ReadAll(big)
	if _, body, _ := strings.Cut(string(answer), "\r\n\r\n"); err != nil || len(body) != 30000<<10 {
		t.Errorf("the slow reader got %d bytes, %v", len(body), err)
	}
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
		if resp, body := s.get("/x"); resp.StatusCode != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s: status %d, %q", c.name, resp.StatusCode, body)
		}
	}
	s := start(t, "front", "--workers", "1", "--upstream", "http://127.0.0.1:1")
	if resp, body := s.get("/x"); resp.StatusCode != 502 || !strings.Contains(body, "connection refused") {
		t.Errorf("nobody listens: status %d, %q", resp.StatusCode, body)
	}
	// A response that ends too early must not look complete.
	s = start(t, "front", "--workers", "1", "--upstream", "http://"+answerWith(t, "HTTP/1.0 200 OK\r\nContent-Length: 10\r\n\r\nhello"))
	client := s.client()
	resp, err := client.Do(s.request("GET", "/x", nil))
	require.NoError(t, err)
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); !errors.Is(err, io.ErrUnexpectedEOF) || string(body) != "hello" {
		t.Errorf("short response: %q, %v", body, err)
	}
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
	if list := s.workers(); len(list.Workers) != 4 {
		t.Errorf("%d workers on the board, want 4", len(list.Workers))
	}
	pids, workers := make(map[int]bool), make(map[int]bool)
	for _, l := range s.stop() {
		if l.Route == "/sleep" {
			pids[l.PID], workers[l.Worker] = true, true
		}
	}
	if len(pids) != 2 || len(workers) != 4 {
		t.Errorf("served by %d processes and %d workers, want 2 and 4", len(pids), len(workers))
	}
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
		if out := mustFail(t, c.args...); !strings.Contains(out, c.want) {
			t.Errorf("refserver %v says %q, want %q in it", c.args, out, c.want)
		}
	}
}
