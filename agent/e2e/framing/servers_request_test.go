package framing

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
)

// requestScenes are servers whose requests are easily misread.
func requestScenes() []scene {
	return []scene{
		{name: "waitress, length and chunks", start: startWaitress, play: playBoth},
		{name: "Go, length and chunks", start: startGo, play: playBoth},
		{name: "curl refused with 417", start: startRefusing, play: playCurl},
		{name: "uWSGI gevent, head in two pieces", start: startGevent, play: playGevent},
		{name: "HTTP::Daemon gives leave", start: startPerl, play: playLeave},
	}
}

const echoApp = `
def app(environ, start):
    body = b"read %d" % len(environ["wsgi.input"].read())
    start("200 OK", [("Content-Length", str(len(body)))])
    return [body]
`

func startWaitress(t *testing.T, dir string) []string {
	write(t, dir, "echo.py", echoApp)
	address := harness.FreeAddress(t)
	run(t, dir, python, "-c", "from waitress import serve; from echo import app; serve(app, listen='"+address+"')")
	return []string{address}
}

const goServerVariable = "LAPWING_FRAMING_SERVER"

// goServer serves with net/http if this process was started for that.
func goServer() {
	address := os.Getenv(goServerVariable)
	if address == "" {
		return
	}
	err := http.ListenAndServe(address, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		_, _ = fmt.Fprintf(w, "read %d", n)
	}))
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func startGo(t *testing.T, _ string) []string {
	address := harness.FreeAddress(t)
	cmd := exec.Command(harness.Executable(t))
	cmd.Env = append(os.Environ(), goServerVariable+"="+address)
	harness.Start(t, cmd)
	return []string{address}
}

// playBoth sends requests with both framings, and two plain ones after each.
func playBoth(t *testing.T, _ string, addresses []string) (facts []fact) {
	const body = "3\r\nabc\r\n0\r\n\r\n"
	for _, fields := range [][]string{
		{"Content-Length: 5000", chunkedField}, {chunkedField, "Content-Length: 5000"}, {"Content-Length: 1", chunkedField},
		{padding(300), chunkedField, "Content-Length: 5000"},
	} {
		c := dial(t, addresses[0], 0, 0)
		path := unique("/both")
		a := c.call(t, ask("POST", path, body, fields...))
		facts = append(facts, fact{local: addresses[0], method: "POST", path: path, status: a.status, bytes: a.bytes, most: a.took})
		for range 2 {
			path := unique("/after")
			if _, err := io.WriteString(c.Conn, get(path)); err != nil {
				break
			}
			r, err := http.ReadResponse(c.in, nil)
			if err != nil {
				break // some servers close the connection, which is allowed
			}
			_, _ = io.Copy(io.Discard, r.Body)
			facts = append(facts, fact{local: addresses[0], path: path, status: r.StatusCode})
		}
	}
	return facts
}

// startRefusing starts a server that refuses Expect: 100-continue and keeps the
// connection.
func startRefusing(t *testing.T, _ string) []string {
	return []string{serve(t, refuse)}
}

func refuse(c net.Conn) {
	in := bufio.NewReader(c)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		status := "417 Expectation Failed"
		if r.Header.Get("Expect") == "" {
			status = "200 OK"
			_, _ = io.Copy(io.Discard, r.Body)
		}
		time.Sleep(ms(20))
		_, _ = io.WriteString(c, reply(status, "done"))
	}
}

// playCurl makes curl post twice on one connection. It sends Expect:
// 100-continue, and repeats the request without it when it is refused.
func playCurl(t *testing.T, dir string, addresses []string) (facts []fact) {
	var urls []string
	for range 2 {
		path := unique("/curl")
		urls = append(urls, "http://"+addresses[0]+path)
		for _, status := range []int{417, 200} {
			facts = append(facts, fact{local: addresses[0], method: "POST", path: path, status: status, least: ms(20), most: ms(100)})
		}
	}
	// From 1 MiB on, curl sends Expect: 100-continue.
	body := write(t, dir, "body", strings.Repeat("b", 1200<<10))
	args := append([]string{"--silent", "--max-time", "5", "--write-out", "%{num_connects}\n", "--data-binary", "@" + body}, urls...)
	out, err := exec.Command(harness.Installed(t, "curl"), args...).Output()
	assert.NoError(t, err, "curl, connections %q", out)
	assert.Equal(t, "10", strings.ReplaceAll(strings.ReplaceAll(string(out), "\n", ""), "done", ""), "connections of curl: %q", out)
	return facts
}

// startGevent starts uWSGI with an event loop that works for 20 ms.
func startGevent(t *testing.T, dir string) []string {
	write(t, dir, "work.py", `
from gevent import sleep
def app(environ, start):
    sleep(0.02)
    start("200 OK", [("Content-Length", "4")])
    return [b"done"]
`)
	address := harness.FreeAddress(t)
	run(t, dir, "uwsgi", "--plugin", "python3", "--plugin", "gevent_python3", "--gevent", "10", "--master", "--die-on-term", "--need-app",
		"--chdir", dir, "--wsgi", "work:app", "--http-socket", address, "--logto", dir+"/server.log")
	return []string{address}
}

// playGevent sends heads in two pieces. The marker shows when the application
// was called: after the second piece.
func playGevent(t *testing.T, _ string, addresses []string) (facts []fact) {
	const wait, work = 30 * time.Millisecond, 20 * time.Millisecond
	for i := range 5 {
		path := unique("/gevent")
		head := get(path, "Connection: close")
		c := dial(t, addresses[0], 0, 0)
		at, began := len(head)-2-7*i, time.Now()
		_, err := io.WriteString(c.Conn, head[:at])
		require.NoError(t, err)
		time.Sleep(wait)
		a := c.call(t, head[at:])
		whole := a.begun.Add(a.took).Sub(began)
		f := fact{local: addresses[0], path: path, status: a.status, least: wait + work, most: whole}
		// Before its first call, an event loop may have no marker.
		marked := i > 0
		f.check = func(t *testing.T, r harness.Record) {
			if marked {
				assert.Equal(t, "marker", r.Boundary, "%s: boundary", path)
			}
			read := duration(r.Queue) + duration(r.Parse)
			assert.True(t, read >= wait-little && read <= whole-work+little && duration(r.Parse) >= wait/2,
				"%s: queue and parse are %s and %s, want %s to %s", path, duration(r.Queue), duration(r.Parse), wait, whole-work)
			app := duration(r.App)
			assert.True(t, app >= work-little && app <= whole-wait+little, "%s: app is %s, want %s to %s", path, app, work, whole-wait)
		}
		facts = append(facts, f)
	}
	return facts
}

// startPerl starts a server that writes an interim response line by line.
func startPerl(t *testing.T, dir string) []string {
	address := harness.FreeAddress(t)
	script := write(t, dir, "server.pl", `
use HTTP::Daemon;
my $d = HTTP::Daemon->new(LocalAddr => "127.0.0.1", LocalPort => @PORT@, ReuseAddr => 1) or die;
while (my $c = $d->accept) {
	while (my $r = $c->get_request) {
		select(undef, undef, undef, 0.02);
		$c->send_response(HTTP::Response->new($r->uri->path =~ /missing/ ? 404 : 201, undef, [], "read " . length($r->content)));
	}
	$c->close;
}
`, "PORT", harness.Port(t, address))
	run(t, dir, "perl", script)
	return []string{address}
}

// playLeave sends Expect: 100-continue, and the body 20 ms after 100 Continue.
func playLeave(t *testing.T, _ string, addresses []string) (facts []fact) {
	for path, status := range map[string]int{"/made": 201, "/missing": 404} {
		path := unique(path)
		c := dial(t, addresses[0], 0, 0)
		body := strings.Repeat("b", 1000)
		_, err := io.WriteString(c.Conn, ask("PUT", path, "", "Expect: 100-continue", lengthOf(body)))
		require.NoError(t, err)
		r, err := http.ReadResponse(c.in, nil)
		if assert.NoError(t, err, "%s: instead of leave to go on", path) {
			assert.Equal(t, 100, r.StatusCode, "%s: %v instead of leave to go on", path, r)
		}
		time.Sleep(ms(20))
		a := c.call(t, body)
		assert.Equal(t, status, a.status, "%s: status", path)
		facts = append(facts, fact{local: addresses[0], method: "PUT", path: path, status: status, check: func(t *testing.T, r harness.Record) {
			assert.False(t, r.Has("early_response"), "%s: flag early_response", path)
			app := duration(r.App)
			assert.True(t, app >= ms(20)-little && app <= a.took+ms(20), "%s: app is %s", path, app)
		}})
		_ = c.Conn.Close() // the server has only one connection at a time
	}
	return facts
}
