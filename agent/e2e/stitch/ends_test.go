package stitch

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
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

// scriptedCaller is, for each row, a threaded process that makes the row's
// calls for each request. It responds with its own stamps before and after each
// move.
const scriptedCaller = `import http.server, json, os, socket, sys, time
(host, port), rows, now = sys.argv[1].split(":"), json.load(open(sys.argv[2])), time.monotonic_ns
def connected(back):
    if back.startswith("/"):
        s = socket.socket(socket.AF_UNIX); s.connect(back); return s
    h, p = back.split(":")
    return socket.create_connection((h, int(p)))
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        row = rows["/".join(self.path.split("/")[:3])]
        moves = rows["/ends/warm-up"]["moves"] if self.path.endswith("/warm-up") else row["moves"]
        log = [[now(), 0]]
        c = connected(row["back"])
        for m in moves:
            at, n = now(), m.get("n", 0)
            if m["do"] == "write": c.sendall(m["text"].replace("PATH", self.path).encode("latin-1"))
            elif m["do"] == "sleep": time.sleep(n / 1000)
            elif m["do"] == "answer": self.answer(log)
            else:
                while n > 0:
                    got = c.recv(n)
                    if not got: break
                    n -= len(got)
            log.append([at, now()])
        if not any(m["do"] == "answer" for m in moves): self.answer(log)
        c.close()
    def answer(self, log):
        text = json.dumps(log).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(text))); self.end_headers(); self.wfile.write(text)
    def log_message(self, *a): pass
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 100
for row in rows.values():
    if row["at"] and os.fork() == 0:
        host, port = row["at"].split(":")
        break
Server((host, int(port)), Handler).serve_forever()
`

// move is the next step of the caller or the back end on their connection.
type move struct {
	Do   string `json:"do"`
	Text string `json:"text,omitempty"`
	N    int    `json:"n,omitempty"` // bytes or milliseconds
}

func send(text string) move  { return move{Do: "write", Text: text} }
func take(n int) move        { return move{Do: "read", N: n} }
func rest(ms int) move       { return move{Do: "sleep", N: ms} }
func until(text string) move { return move{Do: "until", Text: text} }

var (
	answerNow = move{Do: "answer"}
	takeAll   = take(1 << 30)
	aHead     = until("\r\n\r\n")
)

// ending is what the agent must report about one call. The call starts with the
// caller's move `from`, and its response is read with the move `to`. The back
// end sends the last part of the response with its write `last`.
type ending struct {
	from, to, last int
	protocol       string // http/1.1 if empty
	status         int
	end            string
	failed         bool
}

// endRow is a connection of a caller to a back end.
type endRow struct {
	name    string
	caller  []move
	back    []move
	calls   []ending
	proxied bool // also through nginx
}

const askBack = "GET PATH HTTP/1.1\r\nHost: back\r\nX-Pad: a\r\n\r\n"

func sized(status string, body string) string {
	return fmt.Sprintf("HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s", status, len(body), body)
}

const (
	chunkedAnswer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	event         = "e\r\ndata: 1\r\n0\r\n\r\n\r\n" // also looks like an end
	lastEvent     = "0\r\n\r\n"
	phantom       = "GET /phantom HTTP/1.1\r\nHost: x\r\n\r\n"
)

// stream returns a chunked response with pauses of half a second.
func stream(pauses int) (moves []move, n int) {
	moves = append(moves, send(chunkedAnswer+event))
	n = len(chunkedAnswer) + len(event)
	for range pauses {
		moves = append(moves, rest(500), send(event))
		n += len(event)
	}
	moves[len(moves)-1].Text += lastEvent
	return moves, n + len(lastEvent)
}

// postgresQuery returns a message of PostgreSQL's protocol. A path is longer
// than the name of its row by pathLength.
func postgresQuery(name string) string {
	text := "select 'PATH'\x00"
	length := 4 + len(text) - len("PATH") + len(name) + pathLength
	return "Q" + string(binary.BigEndian.AppendUint32(nil, uint32(length))) + text
}

const pathLength = 30

func endRows() []endRow {
	half := strings.Repeat("h", 1000)
	short, n := stream(2)
	long, longer := stream(13)
	early := strings.Replace(sized("103 Early Hints", ""), "Content-Length: 0", "Link: "+strings.Repeat("l", 400), 1)
	leave := "HTTP/1.1 100 Continue\r\n\r\n"
	upload := fmt.Sprintf("POST PATH HTTP/1.1\r\nHost: back\r\nContent-Length: %d\r\n", len(phantom))
	raw := "HTTP/1.1 200 OK\r\nContent-Type: raw\r\n\r\nhello"
	tunnel := "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n"
	ok, refusal := sized("200 OK", half+half), sized("413 Too Large", "no")
	redis, pushed := "*2\r\n$9\r\nSUBSCRIBE\r\n$40\r\nPATH\r\n", "+one\r\n"
	var told []move
	for range 14 {
		told = append(told, send(pushed), rest(500))
	}
	return []endRow{
		{
			name:   "chunks-length",
			caller: []move{send(askBack), take(n), send(askBack), take(len(ok)), send(askBack), take(len(ok))},
			back: slices.Concat([]move{aHead}, short,
				[]move{aHead, send(ok[:500]), rest(500), send(ok[500:]), aHead, send(ok[:20]), rest(300), send(ok[20:40]), rest(300), send(ok[40:])}),
			calls: []ending{{from: 1, to: 2, last: 2, status: 200}, {from: 3, to: 4, last: 4, status: 200}, {from: 5, to: 6, last: 7, status: 200}},
		},
		{
			name: "chunks", caller: []move{send(askBack), take(n)}, proxied: true,
			back: append([]move{aHead}, short...), calls: []ending{{from: 1, to: 2, last: 2, status: 200}},
		},
		{
			name: "length", caller: []move{send(askBack), take(len(ok))}, proxied: true,
			back:  []move{aHead, send(ok[:20]), rest(400), send(ok[20:60]), rest(400), send(ok[60:])},
			calls: []ending{{from: 1, to: 2, last: 2, status: 200}},
		},
		{
			name: "longer-than-5s", caller: []move{send(askBack), take(longer)},
			back: append([]move{aHead}, long...), calls: []ending{{from: 1, to: 2, last: 13, status: 200}},
		},
		{
			name: "until-close", caller: []move{send(askBack), takeAll}, proxied: true,
			back:  []move{aHead, send(raw), rest(500), send("more\r\n")},
			calls: []ending{{from: 1, to: 2, last: 1, status: 200}},
		},
		{
			name: "early-hints", caller: []move{send(askBack), take(len(early)*2 + len(ok))},
			back:  []move{aHead, send(early[:200]), rest(300), send(early[200:]), rest(300), send(early + ok[:30]), rest(500), send(ok[30:])},
			calls: []ending{{from: 1, to: 2, last: 3, status: 200}},
		},
		{
			name: "leave-asked-for", caller: []move{send(upload + "Expect: 100-continue\r\n\r\n"), take(len(leave)), send(phantom), take(len(ok))},
			back:  []move{aHead, send(leave), aHead, rest(500), send(ok)},
			calls: []ending{{from: 1, to: 4, last: 1, status: 200}},
		},
		{
			name: "refused-early", caller: []move{send(upload + "\r\n"), take(len(refusal)), rest(300), send(phantom), send(askBack), take(len(ok))},
			back:  []move{aHead, send(refusal), aHead, aHead, send(ok[:500]), rest(400), send(ok[500:])},
			calls: []ending{{from: 1, to: 2, last: 0, status: 413}, {from: 5, to: 6, last: 2, status: 200}},
		},
		{
			name: "broken-off", caller: []move{send(askBack), takeAll},
			back:  []move{aHead, send(chunkedAnswer + event), rest(400), send(event)},
			calls: []ending{{from: 1, to: 2, last: 1, status: 200, failed: true}},
		},
		{
			name: "upgraded", caller: []move{send("GET PATH HTTP/1.1\r\nUpgrade: chat\r\nConnection: Upgrade\r\n\r\n"), take(len(tunnel)), send(phantom), take(5)},
			back:  []move{aHead, rest(300), send(tunnel), aHead, rest(500), send("hello")},
			calls: []ending{{from: 1, to: 2, last: 0, status: 101}},
		},
		{
			name: "raw-stream", caller: []move{send(askBack), take(len(raw)), send(phantom), take(5)},
			back:  []move{aHead, send(raw), aHead, rest(500), send("hello")},
			calls: []ending{{from: 1, to: 4, last: 1, status: 200}},
		},
		{
			name: "head-in-pieces", caller: []move{
				send("GET PATH HTTP/1.1\r\nX-Pad: " + half), rest(50), send(half + "\r\nContent-Le"), rest(50),
				send("ngth: 20\r\n\r\n0123456789"), rest(300), send("0123456789"), take(len(ok)), send(askBack), take(len(ok)),
			},
			back:  []move{until("01234567890123456789"), send(ok[:25]), rest(400), send(ok[25:]), aHead, send(ok)},
			calls: []ending{{from: 1, to: 8, last: 1, status: 200}, {from: 9, to: 10, last: 2, status: 200}},
		},
		{
			name: "pipelined", caller: []move{send(askBack + askBack), take(2 * len(ok))},
			back:  []move{aHead, aHead, send(ok), rest(300), send(ok)},
			calls: []ending{{from: 1, to: 2, last: 1, end: "unknown"}},
		},
		{
			name: "left-behind", caller: []move{send(askBack), take(len(chunkedAnswer)), rest(500), answerNow, takeAll},
			back:  []move{aHead, send(chunkedAnswer), rest(4000), send(event + lastEvent)},
			calls: []ending{{from: 1, to: 2, status: 200, end: "unknown"}},
		},
		{
			name: "postgres", caller: []move{send(postgresQuery("/ends/postgres-tcp")), take(10), send(postgresQuery("/ends/postgres-tcp")), take(10), answerNow, rest(2500)},
			back:  []move{until("'\x00"), send("12345"), rest(500), send("67890"), until("'\x00"), send("12345"), rest(500), send("67890")},
			calls: []ending{{from: 1, to: 2, last: 1, protocol: "postgres"}, {from: 3, to: 4, last: 3, protocol: "postgres", end: "last_read"}},
		},
		{
			name: "redis-longer-than-5s", caller: []move{send(redis), take(14 * len(pushed)), answerNow, rest(2500)},
			back:  append([]move{until("\r\n$40\r\n"), until("\r\n")}, told...),
			calls: []ending{{from: 1, to: 2, last: 13, protocol: "redis", end: "last_read"}},
		},
	}
}

// warmUp shows the agent that a process makes calls.
var warmUp = endRow{
	caller: []move{send(askBack), take(len(sized("200 OK", "warm")))},
	back:   []move{aHead, send(sized("200 OK", "warm"))},
}

// endBack plays the back ends of the rows and records the times before its
// writes.
type endBack struct {
	rows  map[string]endRow
	mu    sync.Mutex
	wrote map[string][]int64 // by the path of the request
	front map[string]string  // by row
	nginx string
}

var endPath = regexp.MustCompile(`/ends/[a-z0-9-]+/[a-z0-9/-]+`)

func (b *endBack) serve(t *testing.T, l net.Listener) {
	t.Cleanup(func() { _ = l.Close() })
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go b.play(c)
	}
}

func (b *endBack) play(c net.Conn) {
	defer func() { _ = c.Close() }()
	in, path := bufio.NewReader(c), ""
	first, err := in.Peek(1)
	for err == nil && path == "" && len(first) < 4096 {
		first, _ = in.Peek(in.Buffered())
		if path = endPath.FindString(string(first)); path == "" {
			_, err = in.Peek(len(first) + 1)
		}
	}
	moves := b.rows[strings.Join(strings.Split(path, "/")[:3], "/")].back
	if strings.HasSuffix(path, "/warm-up") {
		moves = warmUp.back
	}
	for _, m := range moves {
		switch m.Do {
		case "until":
			for got := ""; !strings.HasSuffix(got, m.Text); {
				one, err := in.ReadByte()
				if err != nil {
					return
				}
				got += string(one)
			}
		case "sleep":
			time.Sleep(time.Duration(m.N) * time.Millisecond)
		case "write":
			b.mu.Lock()
			b.wrote[path] = append(b.wrote[path], int64(request.Now()))
			b.mu.Unlock()
			if _, err := io.WriteString(c, m.Text); err != nil {
				return
			}
		}
	}
}

// startEnds starts the back end on TCP and on a unix socket, and the callers of
// all rows on both.
func startEnds(t *testing.T) *endBack {
	t.Helper()
	dir := harness.OpenDir(t)
	b := &endBack{rows: make(map[string]endRow), wrote: make(map[string][]int64), front: make(map[string]string)}
	type script struct {
		At    string `json:"at"`
		Back  string `json:"back"`
		Moves []move `json:"moves"`
	}
	locations := ""
	scripts := map[string]script{"/ends/warm-up": {Moves: warmUp.caller}}
	for family, at := range map[string]string{"tcp": harness.FreeAddress(t), "unix": filepath.Join(dir, "back")} {
		l, err := net.Listen(family, at)
		require.NoError(t, err)
		if family == "unix" {
			require.NoError(t, os.Chmod(at, 0o777)) // nginx runs as another user
		}
		for _, r := range endRows() {
			name := "/ends/" + r.name + "-" + family
			b.rows[name], b.front[name] = r, harness.FreeAddress(t)
			scripts[name] = script{b.front[name], at, r.caller}
		}
		go b.serve(t, l)
		locations += fmt.Sprintf("location ~ ^/ends/[^/]*-%s/ { proxy_pass http://%s; }\n", family, map[bool]string{false: at, true: "unix:" + at}[family == "unix"])
	}
	b.nginx = startNginx(t, "server { listen LISTEN; proxy_http_version 1.1; proxy_buffering off;\n"+locations+"}")
	text, err := json.Marshal(scripts)
	require.NoError(t, err)
	file := filepath.Join(dir, "rows.json")
	write(t, file, string(text))
	startScript(t, "/usr/bin/python3", "scripted.py", scriptedCaller, file)
	for name, at := range b.front {
		harness.Eventually(t, wait, name+" listening", func() bool { return harness.Listens(at) })
	}
	return b
}

// TestEndsOfCalls checks that a call starts and ends where its messages do,
// whatever its body looks like and however long it pauses. The truth is the
// stamps of both ends.
func TestEndsOfCalls(t *testing.T) {
	b := startEnds(t)
	names := slices.Sorted(maps.Keys(b.rows))
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		trace := harness.StartTrace(t, plan)
		for name, front := range b.front {
			stampsOf(t, front, name+"/warm-up")
		}
		var all sync.WaitGroup
		logs := make([][][2]int64, len(names))
		path := func(i int, front string) string {
			name := names[i]
			return fmt.Sprintf("%s/%s-%s-%s", name, plan, front, strings.Repeat("x", pathLength))[:len(name)+pathLength]
		}
		for i, name := range names {
			all.Go(func() { logs[i] = stampsOf(t, b.front[name], path(i, "own")) })
			if b.rows[name].proxied {
				all.Go(func() { fetched(t, b.nginx, path(i, "nginx")) })
			}
		}
		all.Wait()
		for i, name := range names {
			t.Run(name, func(t *testing.T) { b.test(t, trace, name, path(i, "own"), logs[i]) })
			if b.rows[name].proxied {
				t.Run(name+" by nginx", func(t *testing.T) { b.proxied(t, trace, path(i, "nginx")) })
			}
		}
		trace.Finish()
		if t.Failed() {
			t.Log(trace.Stderr())
		}
	})
}

func (b *endBack) test(t *testing.T, trace *harness.Trace, name, path string, log [][2]int64) {
	r := recordOf(t, trace, b.front[name], path)
	wanted := b.rows[name].calls
	require.NotEmpty(t, log, "the caller did not answer")
	require.Equal(t, len(wanted), len(r.Calls), "calls: %s", r.Line)
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, w := range wanted {
		w.judge(t, r.Calls[i], log, b.wrote[path])
		if t.Failed() {
			t.Logf("the caller's stamps are %v, the back end's %v; printed: %s", log, b.wrote[path], r.Line)
		}
	}
}

func (w ending) judge(t *testing.T, got harness.Call, log [][2]int64, wrote []int64) {
	t.Helper()
	protocol := w.protocol
	if protocol == "" {
		protocol = "http/1.1"
	}
	assert.Equal(t, protocol, got.Protocol, "protocol of the call of move %d", w.from)
	assert.Equal(t, w.end, got.End, "end of the call of move %d", w.from)
	assert.Equal(t, w.failed, got.Error != "", "the call of move %d failed; its error is %q", w.from, got.Error)
	assert.Equal(t, w.status, got.Status, "status of the call of move %d", w.from)
	opened := log[w.from][0]
	if w.from == 1 {
		opened = log[0][0] // connecting is part of the call
	}
	start, err := time.Parse(time.RFC3339Nano, got.Start)
	require.NoError(t, err)
	// Only the clocks can differ.
	clock, slack := request.NewClock(), 5*time.Millisecond
	assert.WithinRange(t, start, clock.Time(request.Stamp(opened)).Add(-slack), clock.Time(request.Stamp(log[w.from][1])).Add(slack),
		"start of the call of move %d", w.from)
	if w.end == "unknown" {
		assert.Nil(t, got.Duration, "the call of move %d has a duration, and its end is not known", w.from)
		return
	}
	if !assert.NotNil(t, got.Duration, "the call of move %d has no duration", w.from) {
		return
	}
	d := time.Duration(*got.Duration)
	least, most := time.Duration(wrote[w.last]-log[w.from][1]), time.Duration(log[w.to][1]-opened)
	assert.True(t, d >= least && d <= most, "the call of move %d took %s, want %s to %s", w.from, d, least, most)
}

// proxied checks a call of nginx with the stamps of its back end, and with the
// request, during which it must have happened.
func (b *endBack) proxied(t *testing.T, trace *harness.Trace, path string) {
	r := recordOf(t, trace, b.nginx, path)
	b.mu.Lock()
	defer b.mu.Unlock()
	wrote := b.wrote[path]
	require.Equal(t, 1, len(r.Calls), "calls: %s", r.Line)
	require.NotNil(t, r.Calls[0].Duration, "the end of the call is missing: %s", r.Line)
	require.NotNil(t, r.Duration, "the end of the request is missing: %s", r.Line)
	require.NotEmpty(t, wrote, "the back end did not answer: %s", r.Line)
	d := time.Duration(*r.Calls[0].Duration)
	least, most := time.Duration(wrote[len(wrote)-1]-wrote[0]), time.Duration(*r.Duration)
	assert.True(t, d >= least && d <= most, "the call took %s, want %s to %s: %s", d, least, most, r.Line)
}

// stampsOf makes the caller play a row and returns its stamps: of connecting,
// and of each move until its response.
func stampsOf(t *testing.T, front, path string) (log [][2]int64) {
	t.Helper()
	assert.NoError(t, json.Unmarshal(fetched(t, front, path), &log), "%s", path)
	return log
}

// fetched returns the response of a server. The client must not be a server
// itself, otherwise the requests would wait until its calls are joined.
func fetched(t *testing.T, front, path string) []byte {
	t.Helper()
	text, err := exec.Command(harness.Installed(t, "curl"), "-s", "--max-time", "60", "http://"+front+path).Output()
	assert.NoError(t, err, "%s", path)
	return text
}
