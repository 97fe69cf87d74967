package gateway

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/cmd/refserver/httpio"
)

// protocol is both sides of a protocol.
type protocol struct {
	name   string
	codec  func() httpio.Codec
	encode func(vars []Var, body []byte) ([]byte, error)
}

var protocols = []protocol{
	{"fastcgi", NewFastCGI, func(vars []Var, body []byte) ([]byte, error) { return AppendFastCGI(nil, vars, body) }},
	{"uwsgi", NewUWSGI, func(vars []Var, body []byte) ([]byte, error) {
		b, err := AppendUWSGI(nil, vars)
		return append(b, body...), err
	}},
	{"scgi", NewSCGI, func(vars []Var, body []byte) ([]byte, error) {
		b, err := AppendSCGI(nil, vars)
		return append(b, body...), err
	}},
}

func parse(t *testing.T, raw string) *httpio.Head {
	t.Helper()
	h := new(httpio.Head)
	_, err := httpio.ParseHead([]byte(raw), h)
	require.NoError(t, err)
	return h
}

// TestRoundTrip encodes requests as a front end and decodes them as an
// application server, in pieces of several sizes.
func TestRoundTrip(t *testing.T) {
	head := parse(t, "POST /upload?id=7 HTTP/1.1\r\nHost: a.test\r\nContent-Type: text/x\r\nTraceparent: 00-1-2-3\r\nX-Long: "+
		strings.Repeat("long", 100)+"\r\nX-Request-Id: r1\r\n\r\n")
	for _, p := range protocols {
		for _, size := range []int{0, 1, 1000, 100_000} {
			body := bytes.Repeat([]byte("b"), size)
			raw, err := p.encode(Vars(head, []byte("/p?q=1"), size), body)
			require.NoError(t, err)
			for _, piece := range []int{1, 7, 4096, len(raw)} {
				checkRequest(t, p, raw, piece, size)
			}
		}
	}
}

func checkRequest(t *testing.T, p protocol, raw []byte, piece, size int) {
	t.Helper()
	c := p.codec()
	c.Reset()
	var in []byte
	var done bool
	for rest := raw; len(rest) > 0; {
		require.False(t, done, "%s: done %d bytes too early", p.name, len(rest))
		n := min(piece, len(rest))
		in, rest = append(in, rest[:n]...), rest[n:]
		used, d, err := c.Decode(in)
		require.NoError(t, err, "%s, body of %d, pieces of %d", p.name, size, piece)
		done, in = d, in[used:]
	}
	h := c.Head()
	about := fmt.Sprintf("%s, body of %d, pieces of %d: %d bytes of body, head %+v", p.name, size, piece, c.BodySize(), h)
	require.True(t, done, about)
	require.Empty(t, in, about)
	require.Equal(t, "POST", h.Method, about)
	require.Equal(t, "/p", string(h.Path), about)
	require.Equal(t, "q=1", string(h.Query), about)
	require.Equal(t, "a.test", string(h.Host), about)
	require.Equal(t, "text/x", string(h.ContentType), about)
	require.Equal(t, "r1", string(h.ID()), about)
	require.Equal(t, "00-1-2-3", string(h.TraceParent), about)
	require.Equal(t, int64(size), c.BodySize(), about)
	require.False(t, c.WantsContinue(), about)
}

// memory is a Sink that keeps everything.
type memory struct{ bytes.Buffer }

func (m *memory) Send(head, body []byte) error {
	m.Write(head)
	m.Write(body)
	return nil
}

func (m *memory) SendFile(_ int, _, n int64) error {
	m.Write(bytes.Repeat([]byte("f"), int(n)))
	return nil
}

func TestFastCGIOutput(t *testing.T) {
	const size = 3*fcgiMaxContent + 17
	sink, w := new(memory), new(httpio.Response)
	NewFastCGI().Respond(w, sink, true)
	w.Start(200, "text/plain", 2*size)
	w.Write(bytes.Repeat([]byte("m"), size))
	w.SendFile(0, size)
	require.NoError(t, w.Finish())
	var out Output
	var got []byte
	for rest := sink.Bytes(); len(rest) > 0; {
		require.False(t, out.Ended(), "%d bytes after the end", len(rest))
		used, content, err := out.Next(rest)
		require.NoError(t, err, "%d bytes used", used)
		require.NotZero(t, used, "no bytes used")
		got = append(got, content...)
		rest = rest[used:]
	}
	want := "Status: 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " + strconv.Itoa(2*size) + "\r\n\r\n" +
		strings.Repeat("m", size) + strings.Repeat("f", size)
	assert.True(t, out.Ended(), "not ended after %d bytes, want %d", len(got), len(want))
	// Not Equal: it would print 32 kB of both.
	assert.True(t, string(got) == want, "%d bytes beginning with %.100q, want %d", len(got), got, len(want))
}

func TestUWSGITooLong(t *testing.T) {
	_, err := AppendUWSGI(nil, []Var{{[]byte("A"), make([]byte, 60_000)}, {[]byte("B"), make([]byte, 10_000)}})
	var e *httpio.Error
	if assert.ErrorAs(t, err, &e) {
		assert.Equal(t, 431, e.Status, "error is %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	head := new(httpio.Head)
	_, err := httpio.ParseHead([]byte("GET /p HTTP/1.0\r\nX: y\r\n\r\n"), head)
	require.NoError(f, err)
	for i, p := range protocols {
		raw, err := p.encode(Vars(head, []byte("/p?q"), 3), []byte("abc"))
		require.NoError(f, err)
		f.Add(i, raw)
	}
	f.Fuzz(func(t *testing.T, which int, raw []byte) {
		c := protocols[uint(which)%uint(len(protocols))].codec()
		c.Reset()
		used, done, err := c.Decode(raw)
		var e *httpio.Error
		require.LessOrEqual(t, used, len(raw), "more bytes used than there are")
		switch {
		case err != nil:
			require.False(t, done, "done, %v", err)
			require.ErrorAs(t, err, &e)
			require.GreaterOrEqual(t, e.Status, 400, "%v", err)
		case done:
			require.NotEmpty(t, c.Head().Method, "done with %+v", c.Head())
			require.NotEmpty(t, c.Head().Path, "done with %+v", c.Head())
		}
	})
}
