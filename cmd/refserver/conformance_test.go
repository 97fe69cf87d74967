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
			if resp.StatusCode != c.status || !strings.Contains(body, c.body) || c.size >= 0 && len(body) != c.size {
				t.Errorf("GET %s: status %d, %d bytes %.80q; want %d, %d bytes with %q",
					c.path, resp.StatusCode, len(body), body, c.status, c.size, c.body)
			}
		}
	})
}

func TestMethods(t *testing.T) {
	webServers(t, func(t *testing.T, arch string) {
		s := start(t, arch, "--workers", "1")
		client := s.client()
		resp, _ := do(t, client, s.request("HEAD", "/big?kb=40", nil))
		if resp.StatusCode != 200 || resp.ContentLength != 40<<10 {
			t.Errorf("HEAD: status %d, length %d", resp.StatusCode, resp.ContentLength)
		}
		resp, _ = do(t, client, s.request("DELETE", "/fast", nil))
		if resp.StatusCode != 405 || resp.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("DELETE: status %d, Allow %q", resp.StatusCode, resp.Header.Get("Allow"))
		}
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
			if resp, body := do(t, client, r); resp.StatusCode != 200 || body != strconv.Itoa(len(content))+"\n" {
				t.Errorf("%s: status %d, %q", c.name, resp.StatusCode, body)
			}
		}
		for _, l := range s.stop() {
			if l.ID != "up" || l.RequestBytes < int64(len(content)) || l.Status != 200 {
				t.Errorf("truth of an upload: %+v", l)
			}
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
			if err != nil || string(body) != strconv.Itoa(i)+"\n" {
				t.Fatalf("response %d: %q, %v", i, body, err)
			}
		}
		_ = c.Close()
		for i, l := range s.stop() {
			if l.ID != fmt.Sprint("p", i) || l.Seq != i+1 {
				t.Errorf("line %d of the truth is request %q, number %d on its connection", i, l.ID, l.Seq)
			}
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
		if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || resp.StatusCode != 200 {
			t.Fatalf("%v, %v", resp, err)
		}
		_ = c.Close()
		if resp, _ := s.get("/fast"); resp.StatusCode != 200 {
			t.Errorf("status %d", resp.StatusCode)
		}
		if lines := s.stop(); len(lines) != 2 {
			t.Errorf("truth is %+v", lines)
		}
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
		if answer, err := io.ReadAll(c); err != nil || !strings.HasSuffix(string(answer), "\r\n\r\nfast\n") {
			t.Fatalf("answer %q, %v", answer, err)
		}
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
			if !strings.HasPrefix(string(answer), "HTTP/1.1 "+c.want+"\r\n") || !strings.Contains(string(answer), "Connection: close") {
				t.Errorf("%s: answer %.100q", c.name, answer)
			}
			_ = conn.Close()
			if resp, _ := s.get("/fast"); resp.StatusCode != 200 {
				t.Errorf("after %s: status %d", c.name, resp.StatusCode)
			}
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
			if seen[l.ID] {
				t.Errorf("request %q is in the truth twice", l.ID)
			}
			seen[l.ID] = true
			checkStamps(t, l)
			if d := time.Duration(l.AppLeaveNS - l.AppEnterNS); d < sleep {
				t.Errorf("request %q spent %v in the application, which slept for %v", l.ID, d, sleep)
			}
			if l.Arch != name || l.Route != route || l.Method != "GET" || l.Status != 200 || l.Error != "" || l.PID == 0 || l.TID == 0 || l.Worker == 0 || l.Peer == "" {
				t.Errorf("truth is %+v", l)
			}
		}
	})
}

// checkStamps checks that all stamps are present and in order. The application
// may write before it returns.
func checkStamps(t *testing.T, l truth.Line) {
	t.Helper()
	stamps := []int64{l.AcceptNS, l.ReadFirstNS, l.ReadNS, l.AppEnterNS, l.WriteEnterNS, l.WriteLeaveNS}
	if l.AppLeaveNS < l.AppEnterNS {
		t.Errorf("request %q left the application before it entered it", l.ID)
	}
	for i, stamp := range stamps {
		if stamp == 0 || i > 0 && stamp < stamps[i-1] {
			t.Errorf("stamps of request %q are not in order: %v", l.ID, stamps)
			return
		}
	}
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
			if l.ID != want[i] {
				t.Errorf("request %d has the id %q, want %q", i, l.ID, want[i])
			}
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
		if body, err := io.ReadAll(resp.Body); err != nil || len(body) != 2<<10 {
			t.Errorf("the request in progress got %d bytes, %v", len(body), err)
		}
		if len(lines) != 1 || lines[0].Status != 200 || lines[0].Error != "" {
			t.Errorf("truth is %+v", lines)
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
		if l := s.lines()[0]; l.ID != "half" || l.Error != "client_gone" || l.Status != 0 || l.WriteEnterNS != 0 {
			t.Errorf("truth is %+v", l)
		}
	})
}

func TestAddresses(t *testing.T) {
	webServers(t, func(t *testing.T, arch string) {
		for _, listen := range []string{"[::1]:0", "unix:" + filepath.Join(t.TempDir(), "s.sock")} {
			s := startAt(t, arch, listen, "--workers", "1")
			if resp, body := s.get("/fast"); resp.StatusCode != 200 || body != "fast\n" {
				t.Errorf("on %s: status %d, %q", s.addr, resp.StatusCode, body)
			}
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
		if out := mustFail(t, c.args...); !strings.Contains(out, c.want) {
			t.Errorf("refserver %v says %q, want %q in it", c.args, out, c.want)
		}
	}
}
