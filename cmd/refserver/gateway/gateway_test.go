package gateway

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"testing"

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
	if !done || len(in) > 0 || h.Method != "POST" || string(h.Path) != "/p" || string(h.Query) != "q=1" ||
		string(h.Host) != "a.test" || string(h.ContentType) != "text/x" || string(h.ID()) != "r1" ||
		string(h.TraceParent) != "00-1-2-3" || c.BodySize() != int64(size) || c.WantsContinue() {
		t.Fatalf("%s, body of %d, pieces of %d: done %v, %d bytes of body, head %+v", p.name, size, piece, done, c.BodySize(), h)
	}
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
		if err != nil || used == 0 {
			t.Fatalf("%d bytes used, %v", used, err)
		}
		got = append(got, content...)
		rest = rest[used:]
	}
	want := "Status: 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " + strconv.Itoa(2*size) + "\r\n\r\n" +
		strings.Repeat("m", size) + strings.Repeat("f", size)
	if !out.Ended() || string(got) != want {
		t.Errorf("ended %v, %d bytes beginning with %.100q, want %d", out.Ended(), len(got), got, len(want))
	}
}

func TestUWSGITooLong(t *testing.T) {
	_, err := AppendUWSGI(nil, []Var{{[]byte("A"), make([]byte, 60_000)}, {[]byte("B"), make([]byte, 10_000)}})
	if e := new(httpio.Error); !errors.As(err, &e) || e.Status != 431 {
		t.Errorf("error is %v", err)
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
		switch {
		case used > len(raw):
			t.Fatalf("%d of %d bytes used", used, len(raw))
		case err != nil && (done || !errors.As(err, &e) || e.Status < 400):
			t.Fatalf("done %v, %v", done, err)
		case done && (c.Head().Method == "" || len(c.Head().Path) == 0):
			t.Fatalf("done with %+v", c.Head())
		}
	})
}
