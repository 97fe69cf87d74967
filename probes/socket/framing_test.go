package socket

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"lapwing/probes/socket/survey"
	"lapwing/probes/socket/wire"
)

// exchange is a request and its response, and where the kernel side is in both after all
// of their bytes.
type exchange struct {
	name     string
	request  string // PATH stands for a path that identifies the exchange
	response string
	in, out  wire.Place
	status   uint16
}

const (
	ask     = "GET PATH HTTP/1.1\r\nHost: a\r\n\r\n"
	okHead  = "HTTP/1.1 200 OK\r\n"
	chunky  = okHead + "Transfer-Encoding: chunked\r\n\r\n"
	noBytes = okHead + "Content-Length: 0\r\n\r\n"
	parent  = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
)

func padding(n int) string { return "X-Padding: " + strings.Repeat("p", n) + "\r\n" }

func exchanges() []exchange {
	responses := []exchange{
		{name: "length", response: okHead + "Content-Length: 5\r\n\r\nhello", out: wire.PlaceEnd},
		{name: "length in capitals", response: okHead + "CONTENT-LENGTH:5\r\n\r\nhello", out: wire.PlaceEnd},
		{name: "length is short of a byte", response: okHead + "Content-Length: 6\r\n\r\nhello", out: wire.PlaceLength},
		{name: "length twice the same", response: okHead + "Content-Length: 5, 5\r\nContent-Length: 5 \r\n\r\nhello", out: wire.PlaceEnd},
		{name: "lengths that differ", response: okHead + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", out: wire.PlaceLost},
		{name: "length is no number", response: okHead + "Content-Length: five\r\n\r\nhello", out: wire.PlaceLost},
		{name: "length is negative", response: okHead + "Content-Length: -5\r\n\r\nhello", out: wire.PlaceLost},
		{name: "length is folded", response: okHead + "Content-Length: 5\r\n 0\r\n\r\nhello", out: wire.PlaceLost},
		{name: "a field like length", response: okHead + "X-Content-Length: 9\r\nContent-Lengthy: 7\r\nContent-Length: 5\r\n\r\nhello", out: wire.PlaceEnd},
		{name: "length in a value", response: okHead + "X: a\tContent-Length: 9\r\nContent-Length: 5\r\n\r\nhello", out: wire.PlaceEnd},
		{name: "bare line feeds", response: "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", out: wire.PlaceEnd},
		{name: "short lines", response: okHead + "c:1\r\nt:2\r\ne:3\r\nco:\r\nTransfer:x\r\nExpec: 1\r\nContent-Length: 5\r\n\r\nhello", out: wire.PlaceEnd},
		{name: "length after 256 bytes", response: okHead + padding(300) + "Content-Length: 5\r\n\r\nhello", out: wire.PlaceEnd},
		{name: "length across byte 256", response: okHead + padding(256-len(okHead)-13-18) + "Content-Length: 1005\r\n\r\n" + strings.Repeat("b", 1005), out: wire.PlaceEnd},
		{name: "length after 15 KB", response: okHead + padding(15000) + "Content-Length: 5\r\n\r\nhello", out: wire.PlaceEnd},
		{name: "until close", response: okHead + "Server: x\r\n\r\nhello", out: wire.PlaceClose},
		{name: "another coding", response: okHead + "Transfer-Encoding: gzip\r\nContent-Length: 2\r\n\r\nhello", out: wire.PlaceClose},
		{name: "chunks", response: chunky + "5\r\nhello\r\n0\r\n\r\n", out: wire.PlaceEnd},
		{name: "chunks among other codings", response: okHead + "transfer-encoding: gzip, Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", out: wire.PlaceEnd},
		{name: "chunked is not last", response: okHead + "Transfer-Encoding: chunked, gzip\r\n\r\nhello", out: wire.PlaceClose},
		{name: "chunks win over a length", response: okHead + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\nContent-Length: x\r\n\r\n5\r\nhello\r\n0\r\n\r\n", out: wire.PlaceEnd},
		{name: "chunks, last one missing", response: chunky + "5\r\nhello\r\n", out: wire.PlaceSize},
		{name: "chunks, data like the last one", response: chunky + "5\r\n0\r\n\r\n\r\n7\r\n\r\n0\r\n\r\n\r\n", out: wire.PlaceSize},
		{name: "chunks, data ends in CRLF, then the end", response: chunky + "7\r\ndata:\r\n\r\n1\r\n\n\r\n0\r\n\r\n", out: wire.PlaceEnd},
		{name: "chunks with extensions and trailers", response: chunky + "A;name=\"0\"\r\n0123456789\r\n00000\r\nX-Sum: 1\r\n\r\n", out: wire.PlaceEnd},
		{name: "chunks, no blank line at the end", response: chunky + "1\r\nx\r\n0\r\n", out: wire.PlaceTrailer},
		{name: "chunks of no size", response: chunky + "\r\nhello\r\n0\r\n\r\n", out: wire.PlaceLost},
		{name: "chunks that do not fit", response: chunky + "3\r\nhello\r\n0\r\n\r\n", out: wire.PlaceLost},
		{name: "chunks after a head of 300 bytes", response: okHead + padding(300) + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", out: wire.PlaceEnd},
		{name: "a chunk of 40 KB", response: chunky + "9c40\r\n" + strings.Repeat("\r\n0\r\n\r\n.", 5000) + "\r\n0\r\n\r\n", out: wire.PlaceEnd},
		{name: "300 chunks", response: chunky + strings.Repeat("3\r\nabc\r\n", 300) + "0\r\n\r\n", out: wire.PlaceEnd},
		{name: "204", response: "HTTP/1.1 204 No Content\r\n\r\n", out: wire.PlaceEnd, status: 204},
		{name: "304 with a length", response: "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n", out: wire.PlaceEnd, status: 304},
		{name: "HEAD", request: "HEAD PATH HTTP/1.1\r\n\r\n", response: okHead + "Content-Length: 99\r\n\r\n", out: wire.PlaceEnd},
		{name: "HEAD, chunked, long", request: "HEAD PATH HTTP/1.1\r\n\r\n", response: okHead + padding(400) + "Transfer-Encoding: chunked\r\n\r\n", out: wire.PlaceEnd},
		{name: "head in the middle", response: okHead + "Content-Le", out: wire.PlaceName},
		{name: "two long interim responses", response: "HTTP/1.1 103 Early Hints\r\n" + padding(280) + "\r\nHTTP/1.1 103 Early Hints\r\nContent-Length: 7\r\n" + padding(280) + "\r\n" +
			"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", out: wire.PlaceEnd, status: 404},
		{name: "100, then an error", response: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno", out: wire.PlaceEnd, status: 500},
	}
	requests := []exchange{
		{name: "body with a length", request: "POST PATH HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"},
		{name: "GET with a body", request: "GET PATH HTTP/1.1\r\ncontent-length: 5\r\n\r\nGET /"},
		{name: "body after a head of 1 KB", request: "PUT PATH HTTP/1.1\r\n" + padding(1000) + "Content-Length: 5\r\n\r\nhello"},
		{name: "chunked body with a length in it", request: "POST PATH HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1b\r\nContent-Length: 100000\r\n\r\nx\r\n0\r\n\r\n"},
		{name: "length and chunks", request: "POST PATH HTTP/1.1\r\nContent-Length: 5000\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
		{name: "chunks and length", request: "POST PATH HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5000\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
		{name: "traceparent after a long cookie", request: "GET PATH HTTP/1.1\r\nCookie: " + strings.Repeat("c", 7000) + "\r\nTraceparent: " + parent + "\r\n\r\n"},
		{name: "traceparent across byte 256", request: "GET PATH HTTP/1.1\r\n" + padding(190) + "traceparent:" + parent + " \r\nTracestate: a=b\r\n\r\n"},
	}
	for i := range responses {
		r := &responses[i]
		if r.request == "" {
			r.request = ask
		}
		if r.status == 0 {
			r.status = 200
		}
		r.in = wire.PlaceEnd
	}
	for i := range requests {
		requests[i].response, requests[i].in, requests[i].out, requests[i].status = noBytes, wire.PlaceEnd, wire.PlaceEnd, 200
	}
	return append(responses, requests...)
}

// cutter cuts what one end writes or reads into calls and segments.
type cutter struct {
	name  string
	calls func(*rand.Rand) int // bytes of the next call
	cuts  func(*rand.Rand) int // bytes of the next segment of a call; 0 means the rest
}

func cutters() []cutter {
	all := func(*rand.Rand) int { return 1 << 20 }
	return []cutter{
		{"whole", all, func(*rand.Rand) int { return 0 }},
		{"segments", all, func(r *rand.Rand) int { return 1 + r.IntN(40) }},
		{"pieces", func(r *rand.Rand) int { return 1 + r.IntN(300) }, func(*rand.Rand) int { return 0 }},
		{"pieces in segments", func(r *rand.Rand) int { return 1 + r.IntN(700) }, func(r *rand.Rand) int { return 1 + r.IntN(200) }},
		{"bytes", func(r *rand.Rand) int { return 1 + r.IntN(3) }, func(*rand.Rand) int { return 1 }},
	}
}

const maxSegments = 900 // the kernel takes 1024

func (c cutter) segments(r *rand.Rand, b []byte) (segments [][]byte) {
	for len(b) > 0 {
		n := min(c.cuts(r), len(b))
		if n == 0 || len(segments) == maxSegments {
			n = len(b)
		}
		segments, b = append(segments, b[:n]), b[n:]
	}
	return segments
}

// write writes all of the text, in single bytes only as long as that is quick.
func (c cutter) write(fd int, text string, r *rand.Rand) error {
	for b := []byte(text); len(b) > 0; {
		n := min(c.calls(r), len(b))
		if len(b) > 3000 {
			n = max(n, len(b)-3000)
		}
		written, err := unix.Writev(fd, c.segments(r, b[:n]))
		if err != nil {
			return err
		}
		b = b[written:]
	}
	return nil
}

func (c cutter) read(fd, left int, r *rand.Rand) error {
	for left > 0 {
		n := min(c.calls(r), left)
		if left > 3000 {
			n = max(n, left-3000)
		}
		got, err := unix.Readv(fd, c.segments(r, make([]byte, n)))
		if err != nil || got == 0 {
			return fmt.Errorf("read %d bytes: %w", got, err)
		}
		left -= got
	}
	return nil
}

// byPath keeps the last final record of each path.
type byPath map[string]seenRequest

func (b byPath) HandleRecord(kind wire.Kind, r wire.Record) {
	if kind == wire.Call || r.Pid != uint32(os.Getpid()) {
		return
	}
	_, path, _ := strings.Cut(string(r.RequestHead()), " ")
	path, _, _ = strings.Cut(path, " ")
	if kind == wire.Opened || kind == wire.Unknown {
		path = fmt.Sprintf("kind %d: %s", kind, path)
	}
	b[path] = seenRequest{r.Fields(), kind, string(r.TraceParent()), string(r.ResponseHead()), r.ResponseEnd()}
}

func (b byPath) HandleEvent(wire.Event) {}
func (b byPath) Tick(time.Time)         {}

// play plays an exchange on a connection of its own, and a plain one after it if the
// first one ends.
func play(t *testing.T, l net.Listener, e exchange, c cutter, path string) {
	line := newLine(t, l)
	server := descriptor(t, line.server)
	defer func() { _ = unix.Close(server) }()
	require.NoError(t, line.server.Close())
	rnd := rand.New(rand.NewPCG(1, uint64(len(path))))
	turn := func(e exchange, path string) {
		request := strings.Replace(e.request, "PATH", path, 1)
		_, err := io.WriteString(line.client, request)
		require.NoError(t, err)
		require.NoError(t, c.read(server, len(request), rnd))
		heard := make(chan error)
		go func() {
			_, err := io.ReadFull(line.client, make([]byte, len(e.response)))
			heard <- err
		}()
		require.NoError(t, c.write(server, e.response, rnd))
		require.NoError(t, <-heard)
	}
	turn(e, path)
	if e.out == wire.PlaceEnd {
		turn(exchange{request: ask, response: noBytes}, path+"/after")
	}
	require.NoError(t, unix.Shutdown(server, unix.SHUT_RDWR))
}

var blankLine = regexp.MustCompile(`\n\r?\n`)

// TestFraming writes and reads messages that are cut in all ways. It checks the position
// of the kernel side after their last byte.
func TestFraming(t *testing.T) {
	forEachPlan(t, func(t *testing.T, plan survey.Plan) {
		p := open(t, Options{Plan: plan})
		type played struct {
			exchange
			path string
		}
		var all []played
		for _, network := range []string{"tcp4", "unix"} {
			l := listen(t, network)
			for i, e := range exchanges() {
				for _, c := range cutters() {
					path := fmt.Sprintf("/%s/%d/%s", network, i, strings.ReplaceAll(c.name, " ", "-"))
					play(t, l, e, c, path)
					e.name = network + ", " + e.name + ", " + c.name
					all = append(all, played{e, path})
					e = exchanges()[i]
				}
			}
		}
		got := byPath{}
		runOut(t, p, got)
		for _, e := range all {
			r, ok := got[e.path]
			if !assert.True(t, ok, "%s: no record", e.name) {
				continue
			}
			assert.Equal(t, wire.Final, r.kind, e.name)
			assert.Equal(t, e.in, wire.Place(r.In.Place), "%s: the request's end", e.name)
			assert.Equal(t, e.out, wire.Place(r.Out.Place), "%s: the response's end", e.name)
			assert.Equal(t, e.status, r.Out.Status, "%s: the status", e.name)
			assert.EqualValues(t, len(e.response), r.ResponseBytes, "%s: the response's bytes", e.name)
			final := e.response[strings.LastIndex(e.response, "HTTP/1.1 "):]
			if blank := blankLine.FindStringIndex(final); blank != nil {
				assert.EqualValues(t, blank[1], r.OutHead, "%s: the response's head", e.name)
				assert.Empty(t, r.resp, "%s: a whole head stays in the kernel", e.name)
			} else {
				assert.Equal(t, final, r.resp, "%s: a head that is not whole", e.name)
			}
			if strings.Contains(e.request, parent) {
				assert.Equal(t, parent, r.head, "%s: the traceparent", e.name)
			}
			if e.out == wire.PlaceEnd {
				after, ok := got[e.path+"/after"]
				assert.True(t, ok, "%s: no record of the request after it", e.name)
				assert.EqualValues(t, len(noBytes), after.ResponseBytes, e.name)
			}
		}
		for path := range got {
			assert.NotContains(t, path, "kind", "nothing is left to user space, or unknown")
		}
	})
}
