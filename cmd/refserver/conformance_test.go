package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/cmd/refserver/truth"
)

// webServers runs a test on each architecture that serves HTTP to clients.
func webServers(t *testing.T, test func(t *testing.T, arch string)) {
	for _, arch := range []string{
		"serial", "prefork", "threaded", "reader", "evented", "daemon",
		"front/http", "front/fastcgi", "front/uwsgi", "front/scgi",
	} {
		t.Run(arch, func(t *testing.T) { test(t, arch) })
	}
}

// isFront splits off the prefix of a front end, as for startAt.
func isFront(arch string) (name string, front bool) {
	name, _, front = strings.Cut(arch, "/")
	return name, front
}

func TestRoutes(t *testing.T) {
	webServers(t, func(t *testing.T, arch string) {
		s := start(t, arch, "--workers", "2")
		other := start(t, "prefork", "--workers", "1")
		name, _ := isFront(arch)
		for _, c := range []struct {
			path   string
			status int
			body   string // a part of it
			size   int    // −1 if only body is checked
		}{
			{"/fast", 200, "fast\n", 5},
			{"/sleep?ms=3", 200, "slept 3ms", -1},
			{"/cpu?ms=3", 200, "used 3ms of CPU", -1},
			{"/lock?ms=3", 200, "held the lock for 3ms", -1},
			{"/poll?ms=3", 200, "held open for 3ms", -1},
			{"/big?kb=0", 200, "", 0},
			{"/big?kb=1", 200, "lapwing", 1 << 10},
			{"/big?kb=3000", 200, "lapwing", 3000 << 10},
			{"/file?kb=0", 200, "", 0},
			{"/file?kb=3000", 200, "\x00", 3000 << 10},
			{"/stream?chunks=0&ms=1", 200, "", 0},
			{"/stream?chunks=3&ms=1", 200, "lapwing", 3 << 10},
			{"/workers", 200, `"arch":"` + name + `"`, -1},
			{"/downstream?url=http://" + other.addr + "/fast", 200, "status 200", -1},
			{"/downstream?url=http://" + other.addr + "/nope", 200, "status 404", -1},
			{"/downstream?url=http://127.0.0.1:1/", 502, "connect to 127.0.0.1:1", -1},
			{"/downstream?url=ftp://127.0.0.1/", 400, "is not an http URL", -1},
			{"/sleep", 400, "parameter ms", -1},
			{"/sleep?ms=-1", 400, "parameter ms", -1},
			{"/sleep?ms=99999999", 400, "from 0 to 600000", -1},
			{"/big?kb=lots", 400, `kb="lots"`, -1},
			{"/cpu?ms=%zz", 400, "query string", -1},
			{"/upload", 405, "takes POST, PUT", -1},
			{"/", 404, "/workers", -1},
			{"/fast/er", 404, "no such route", -1},
		} {
			resp, body := s.get(c.path)
			assert.Equal(t, c.status, resp.StatusCode, "GET %s: %d bytes %.80q", c.path, len(body), body)
			// Not Contains: it would print 32 kB of a long body.
			assert.True(t, strings.Contains(body, c.body), "GET %s: %d bytes %.80q; want %q in it", c.path, len(body), body, c.body)
			if c.size >= 0 {
				assert.Equal(t, c.size, len(body), "GET %s: size of the body, %.80q", c.path, body)
			}
		}
	})
}

func TestMethods(t *testing.T) {
	webServers(t, func(t *testing.T, arch string) {
		s := start(t, arch, "--workers", "1")
		client := s.client()
		resp, _ := do(t, client, s.request("HEAD", "/big?kb=40", nil))
		assert.Equal(t, 200, resp.StatusCode, "HEAD")
		assert.Equal(t, int64(40<<10), resp.ContentLength, "HEAD")
		resp, _ = do(t, client, s.request("DELETE", "/fast", nil))
		assert.Equal(t, 405, resp.StatusCode, "DELETE")
		assert.Equal(t, "GET, HEAD", resp.Header.Get("Allow"), "DELETE")
		// A prefix of an allowed method is not an allowed method.
		resp, _ = do(t, client, s.request("GE", "/fast", nil))
		assert.Equal(t, 405, resp.StatusCode)
	})
}

func TestUpload(t *testing.T) {
	webServers(t, func(t *testing.T, arch string) {
		s := start(t, arch, "--workers", "1")
		client := s.client()
		content := bytes.Repeat([]byte("0123456789abcdef"), 200_000/16)
		for _, c := range []struct {
			name   string
			body   io.Reader
			expect string
		}{
			{"content length", bytes.NewReader(content), ""},
			{"chunked", io.MultiReader(bytes.NewReader(content)), ""},
			{"100-continue", bytes.NewReader(content), "100-continue"},
			{"100-continue, chunked", io.MultiReader(bytes.NewReader(content)), "100-continue"},
		} {
			r := s.request("POST", "/upload?id=up", c.body)
			if c.expect != "" {
				r.Header.Set("Expect", c.expect)
			}
			resp, body := do(t, client, r)
			assert.Equal(t, 200, resp.StatusCode, c.name)
			assert.Equal(t, strconv.Itoa(len(content))+"\n", body, c.name)
		}
		for _, l := range s.stop() {
			assert.Equal(t, "up", l.ID, "truth of an upload: %+v", l)
			assert.GreaterOrEqual(t, l.RequestBytes, int64(len(content)), "truth of an upload: %+v", l)
			assert.Equal(t, 200, l.Status, "truth of an upload: %+v", l)
		}
	})
}

// TestPipelining sends requests in one packet. Each gets its own response, in
// order.
func TestPipelining(t *testing.T) {
	webServers(t, func(t *testing.T, arch string) {
		s := start(t, arch, "--workers", "1")
		c := s.dial()
		var all strings.Builder
		const count = 20
		for i := range count {
			fmt.Fprintf(&all, "POST /upload?id=p%d HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", i, i, strings.Repeat("x", i))
		}
		_, err := io.WriteString(c, all.String())
		require.NoError(t, err)
		in := bufio.NewReader(c)
		for i := range count {
			resp, err := http.ReadResponse(in, nil)
			if i == 1 && arch == "serial" && err != nil {
				return // it closed after the first response
			}
			require.NoError(t, err, "response %d", i)
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err, "response %d: %q", i, body)
			require.Equal(t, strconv.Itoa(i)+"\n", string(body), "response %d", i)
		}
		_ = c.Close()
		for i, l := range s.stop() {
			assert.Equal(t, fmt.Sprint("p", i), l.ID, "line %d of the truth", i)
			assert.Equal(t, i+1, l.Seq, "line %d of the truth: number on its connection", i)
		}
	})
}

// TestEmptyLines checks that empty lines between requests are not requests.
func TestEmptyLines(t *testing.T) {
	webServers(t, func(t *testing.T, arch string) {
		s := start(t, arch, "--workers", "1")
		c := s.dial()
		_, err := io.WriteString(c, "\r\nPOST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx\r\n")
		require.NoError(t, err)
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		require.NoError(t, err)
		require.Equal(t, 200, resp.StatusCode, "%v", resp)
		_ = c.Close()
		resp, _ = s.get("/fast")
		assert.Equal(t, 200, resp.StatusCode)
		assert.Len(t, s.stop(), 2, "lines of truth")
	})
}

// TestSplitHead sends a head byte by byte.
func TestSplitHead(t *testing.T) {
	webServers(t, func(t *testing.T, arch string) {
		s := start(t, arch, "--workers", "1")
		c := s.dial()
		for _, b := range []byte("GET /fast HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") {
			_, err := c.Write([]byte{b})
			require.NoError(t, err)
		}
		answer, err := io.ReadAll(c)
		require.NoError(t, err, "answer %q", answer)
		require.True(t, strings.HasSuffix(string(answer), "\r\n\r\nfast\n"), "answer %q", answer)
	})
}

func TestRefusals(t *testing.T) {
	webServers(t, func(t *testing.T, arch string) {
		s := start(t, arch, "--workers", "2")
		for _, c := range []struct{ name, send, want string }{
			{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "400 Bad Request"},
			{"nonsense", "lorem ipsum\r\n\r\n", "400 Bad Request"},
			{"no version", "GET /fast\r\n\r\n", "400 Bad Request"},
			{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505 HTTP Version Not Supported"},
			{"no host", "GET /fast HTTP/1.1\r\n\r\n", "400 Bad Request"},
			{"two lengths", "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "400 Bad Request"},
			{"bad length", "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", "400 Bad Request"},
			{"length and chunked", "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "400 Bad Request"},
			{"bad chunk", "POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "400 Bad Request"},
			{"bad coding", "POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", "501 Not Implemented"},
			{"bad expectation", "GET /fast HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\n\r\n", "417 Expectation Failed"},
			{"2 GiB", "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 2147483648\r\n\r\n", "413 Request Entity Too Large"},
			{"head of 1 MB", "GET /fast HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("a", 1<<20) + "\r\n\r\n", "431 Request Header Fields Too Large"},
		} {
			conn := s.dial()
			// The server may close before everything is sent: its response
			// counts.
			go func() { _, _ = io.WriteString(conn, c.send) }()
			answer, _ := io.ReadAll(conn)
			assert.True(t, strings.HasPrefix(string(answer), "HTTP/1.1 "+c.want+"\r\n"), "%s: answer %.100q, want %s", c.name, answer, c.want)
			assert.Contains(t, string(answer), "Connection: close", c.name)
			_ = conn.Close()
			resp, _ := s.get("/fast")
			assert.Equal(t, 200, resp.StatusCode, "after %s", c.name)
		}
	})
}

// TestTruth checks that the truth has each request once, that its stamps are in
// order, and that the times between them match the application.
func TestTruth(t *testing.T) {
	webServers(t, func(t *testing.T, arch string) {
		s := start(t, arch, "--workers", "2")
		client := s.client()
		name, front := isFront(arch)
		route := "/sleep"
		if front {
			route = "proxy"
		}
		const count = 30
		sleep := 3 * time.Millisecond
		for i := range count {
			r := s.request("GET", "/sleep?ms=3", nil)
			r.Header.Set("X-Request-Id", fmt.Sprint("r", i))
			do(t, client, r)
		}
		lines := s.stop()
		require.Len(t, lines, count)
		seen := make(map[string]bool)
		for _, l := range lines {
			assert.False(t, seen[l.ID], "request %q is in the truth twice", l.ID)
			seen[l.ID] = true
			checkStamps(t, l)
			d := time.Duration(l.AppLeaveNS - l.AppEnterNS)
			assert.GreaterOrEqual(t, d, sleep, "time of request %q in the application, which slept", l.ID)
			assert.Equal(t, name, l.Arch, "truth is %+v", l)
			assert.Equal(t, route, l.Route, "truth is %+v", l)
			assert.Equal(t, "GET", l.Method, "truth is %+v", l)
			assert.Equal(t, 200, l.Status, "truth is %+v", l)
			assert.Empty(t, l.Error, "truth is %+v", l)
			assert.NotZero(t, l.PID, "truth is %+v", l)
			assert.NotZero(t, l.TID, "truth is %+v", l)
			assert.NotZero(t, l.Worker, "truth is %+v", l)
			assert.NotEmpty(t, l.Peer, "truth is %+v", l)
		}
	})
}

// checkStamps checks that all stamps are present and in order. The application
// may write before it returns.
func checkStamps(t *testing.T, l truth.Line) {
	t.Helper()
	stamps := []int64{l.AcceptNS, l.ReadFirstNS, l.ReadNS, l.AppEnterNS, l.WriteEnterNS, l.WriteLeaveNS}
	assert.GreaterOrEqual(t, l.AppLeaveNS, l.AppEnterNS, "request %q left the application before it entered it", l.ID)
	assert.NotContains(t, stamps, int64(0), "a stamp of request %q is missing", l.ID)
	assert.IsNonDecreasing(t, stamps, "stamps of request %q are not in order: %v", l.ID, stamps)
}

// TestRequestIDs checks where a request's id comes from.
func TestRequestIDs(t *testing.T) {
	webServers(t, func(t *testing.T, arch string) {
		s := start(t, arch, "--workers", "1")
		client := s.client()
		for _, c := range []struct{ path, header, value string }{
			{"/fast?id=query", "X-Request-Id", "header"},
			{"/fast?a=b&id=query", "Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
			{"/fast", "Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
			{"/fast", "X-Request-Id", strings.Repeat("long", 30)},
			{"/fast", "X-Other", "none"},
		} {
			r := s.request("GET", c.path, nil)
			r.Header.Set(c.header, c.value)
			do(t, client, r)
		}
		want := []string{"header", "query", "0af7651916cd43dd8448eb211c80319c", strings.Repeat("long", 16), ""}
		lines := s.stop()
		require.Len(t, lines, len(want))
		for i, l := range lines {
			assert.Equal(t, want[i], l.ID, "id of request %d", i)
		}
	})
}

// TestDrain checks that the request in progress can finish after SIGTERM.
func TestDrain(t *testing.T) {
	webServers(t, func(t *testing.T, arch string) {
		s := start(t, arch, "--workers", "1")
		c := s.dial()
		_, err := io.WriteString(c, "GET /stream?chunks=2&ms=300 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		require.NoError(t, err)
		in := bufio.NewReader(c)
		resp, err := http.ReadResponse(in, nil) // the first chunk has arrived: the request is in progress
		require.NoError(t, err)
		lines := s.stop()
		body, err := io.ReadAll(resp.Body)
		assert.NoError(t, err, "the request in progress got %d bytes", len(body))
		assert.Equal(t, 2<<10, len(body), "bytes that the request in progress got")
		if assert.Len(t, lines, 1, "lines of truth") {
			assert.Equal(t, 200, lines[0].Status, "truth is %+v", lines)
			assert.Empty(t, lines[0].Error, "truth is %+v", lines)
		}
	})
}

// TestClientGone checks that the truth includes a request whose client did not
// wait.
func TestClientGone(t *testing.T) {
	webServers(t, func(t *testing.T, arch string) {
		s := start(t, arch, "--workers", "2")
		c := s.dial()
		_, err := io.WriteString(c, "POST /upload?id=half HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345")
		require.NoError(t, err)
		_ = c.Close()
		eventually(t, "the half request is in the truth", func() bool { return len(s.lines()) == 1 })
		l := s.lines()[0]
		assert.Equal(t, "half", l.ID, "truth is %+v", l)
		assert.Equal(t, "client_gone", l.Error, "truth is %+v", l)
		assert.Zero(t, l.Status, "truth is %+v", l)
		assert.Zero(t, l.WriteEnterNS, "truth is %+v", l)
	})
}

func TestAddresses(t *testing.T) {
	webServers(t, func(t *testing.T, arch string) {
		for _, listen := range []string{"[::1]:0", "unix:" + filepath.Join(t.TempDir(), "s.sock")} {
			s := startAt(t, arch, listen, "--workers", "1")
			resp, body := s.get("/fast")
			assert.Equal(t, 200, resp.StatusCode, "on %s", s.addr)
			assert.Equal(t, "fast\n", body, "on %s", s.addr)
			s.stop()
		}
	})
}

func TestBadStart(t *testing.T) {
	s := start(t, "prefork", "--workers", "1")
	for _, c := range []struct {
		want string
		args []string
	}{
		{`unknown architecture "quantum": choose one of ` + strings.Join(names(), ", "), []string{"--arch", "quantum"}},
		{"choose one of", nil},
		{"listen on " + s.addr + ": address already in use", []string{"--arch", "prefork", "--listen", s.addr}},
		{"--workers 0 is out of range", []string{"--arch", "prefork", "--workers", "0"}},
		{"--keepalive -1s is negative", []string{"--arch", "prefork", "--keepalive", "-1s"}},
		{"unknown flag: --wrokers", []string{"--arch", "prefork", "--wrokers", "3"}},
		{"write 127.0.0.1:8080, [::1]:8080 or unix:/path", []string{"--arch", "prefork", "--listen", "here"}},
		{"create the truth file", []string{"--arch", "prefork", "--listen", "127.0.0.1:0", "--truth", "/nowhere/truth"}},
	} {
		assert.Contains(t, mustFail(t, c.args...), c.want, "refserver %v", c.args)
	}
}
