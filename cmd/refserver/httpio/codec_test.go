package httpio

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// feed decodes input that arrives in pieces of n bytes, and returns what was
// left over.
func feed(c Codec, input string, n int) (rest []byte, done bool, err error) {
	c.Reset()
	var in []byte
	for len(input) > 0 && !done {
		k := min(n, len(input))
		in = append(in, input[:k]...)
		input = input[k:]
		var used int
		if used, done, err = c.Decode(in); err != nil {
			return nil, false, err
		}
		in = in[used:]
	}
	return append(in, input...), done, nil
}

// TestDecodePieces decodes requests that arrive in pieces of every size.
func TestDecodePieces(t *testing.T) {
	const next = "GET / HTTP/1.1"
	for raw, size := range map[string]int64{
		"GET /p HTTP/1.1\r\nHost: a\r\n\r\n":                                                                                                     0,
		"PUT /p HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n":                                                                                0,
		"PUT /p HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello world":                                                                    11,
		"PUT /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n":                                                              0,
		"PUT /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n6 \r\n world\r\nA\r\n0123456789\r\n0\r\nT: x\r\n\r\n": 21,
	} {
		for n := 1; n <= len(raw)+len(next); n++ {
			c := NewHTTP()
			var content bytes.Buffer
			c.(*HTTP).OnBody = func(p []byte) error { content.Write(p); return nil }
			rest, done, err := feed(c, raw+next, n)
			if err != nil || !done || string(rest) != next || c.BodySize() != size || int64(content.Len()) != size || string(c.Head().Path) != "/p" {
				t.Fatalf("%q in pieces of %d: done %v, %d bytes of body, rest %q, %v", raw, n, done, c.BodySize(), rest, err)
			}
		}
	}
}

func TestDecodeErrors(t *testing.T) {
	head := "PUT /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
	for raw, status := range map[string]int{
		head + "\r\n":          400,
		head + "zz\r\n":        400,
		head + "-1\r\n":        400,
		head + "123456789\r\n": 400,
		head + "3\r\nabcd\r\n": 400,
		head + "ffffffff\r\n" + strings.Repeat("x", 100):                   0, // not yet
		head + strings.Repeat("1", maxChunkLine+1):                         400,
		"PUT /p HTTP/1.1\r\nHost: a\r\nContent-Length: 1073741825\r\n\r\n": 413,
	} {
		_, done, err := feed(NewHTTP(), raw, len(raw))
		var e *Error
		if done || status == 0 && err != nil || status != 0 && (!errors.As(err, &e) || e.Status != status) {
			t.Errorf("%.80q: done %v, %v; want status %d", raw, done, err, status)
		}
	}
}

func TestWantsContinueOnce(t *testing.T) {
	c := NewHTTP()
	head := []byte("PUT /p HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")
	assert.False(t, c.WantsContinue(), "before the head")
	if _, done, err := c.Decode(head); done || err != nil {
		t.Fatal(done, err)
	}
	if !c.WantsContinue() || c.WantsContinue() {
		t.Error("after the head: not exactly once")
	}
	c.Reset()
	if _, done, err := c.Decode(append(head, 'x')); !done || err != nil {
		t.Fatal(done, err)
	}
	assert.False(t, c.WantsContinue(), "the body is there already")
}

// recorder is a Sink that keeps everything.
type recorder struct {
	bytes.Buffer
	calls int
}

func (r *recorder) Send(head, body []byte) error {
	r.calls++
	r.Write(head)
	r.Write(body)
	return nil
}

func (r *recorder) SendFile(_ int, offset, n int64) error {
	r.calls++
	fmt.Fprintf(r, "[file %d+%d]", offset, n)
	return nil
}

func TestResponse(t *testing.T) {
	for _, c := range []struct {
		name      string
		head      Head
		keepAlive bool
		write     func(*Response)
		want      string
		reusable  bool
	}{
		{"small", Head{Minor: 1}, true, func(w *Response) {
			w.Start(200, "text/plain", 2)
			w.Write([]byte("ok"))
		}, "HTTP/1.1 200 OK\r\nServer: refserver\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok", true},
		{"HTTP/1.0", Head{}, true, func(w *Response) { w.Start(200, "t", 0) },
			"HTTP/1.1 200 OK\r\nServer: refserver\r\nContent-Type: t\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n", true},
		{"close", Head{Minor: 1}, false, func(w *Response) { w.Start(404, "t", 0) },
			"HTTP/1.1 404 Not Found\r\nServer: refserver\r\nContent-Type: t\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", false},
		{"chunked", Head{Minor: 1}, true, func(w *Response) {
			w.Start(200, "t", -1)
			w.Write([]byte("0123456789abcdef"))
		}, "HTTP/1.1 200 OK\r\nServer: refserver\r\nContent-Type: t\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n", true},
		{"unknown length, HTTP/1.0", Head{}, true, func(w *Response) {
			w.Start(200, "t", -1)
			w.Write([]byte("x"))
		}, "HTTP/1.1 200 OK\r\nServer: refserver\r\nContent-Type: t\r\nConnection: close\r\n\r\nx", false},
		{"HEAD", Head{Minor: 1, Method: "HEAD"}, true, func(w *Response) {
			w.Start(200, "t", 5)
			w.Write([]byte("12345"))
		}, "HTTP/1.1 200 OK\r\nServer: refserver\r\nContent-Type: t\r\nContent-Length: 5\r\n\r\n", true},
		{"too short", Head{Minor: 1}, true, func(w *Response) {
			w.Start(200, "t", 5)
			w.Write([]byte("123"))
		}, "HTTP/1.1 200 OK\r\nServer: refserver\r\nContent-Type: t\r\nContent-Length: 5\r\n\r\n123", false},
		{"file", Head{Minor: 1}, true, func(w *Response) {
			w.Start(200, "t", 7)
			w.SendFile(3, 7)
		}, "HTTP/1.1 200 OK\r\nServer: refserver\r\nContent-Type: t\r\nContent-Length: 7\r\n\r\n[file 0+7]", true},
	} {
		sink, w := new(recorder), new(Response)
		w.Reset(sink, &c.head, c.keepAlive)
		c.write(w)
		if err := w.Finish(); err != nil || sink.String() != c.want || w.KeepAlive() != c.reusable {
			t.Errorf("%s: %q, keep-alive %v, %v\nwant %q, %v", c.name, sink, w.KeepAlive(), err, c.want, c.reusable)
		}
		before := sink.Len()
		if err := w.Finish(); err != nil || sink.Len() != before {
			t.Errorf("%s: a second Finish wrote %q, %v", c.name, sink.String()[before:], err)
		}
	}
}

// TestResponseCalls checks the number of writes of responses.
func TestResponseCalls(t *testing.T) {
	for _, c := range []struct {
		size  int
		split bool
		calls int
	}{{10, false, 1}, {gather / 2, false, 1}, {10 * gather, false, 1}, {10, true, 2}} {
		sink, w := new(recorder), new(Response)
		w.Reset(sink, &Head{Minor: 1}, true)
		w.SplitWrites = c.split
		w.Start(200, "t", int64(c.size))
		w.Write(make([]byte, c.size))
		if err := w.Finish(); err != nil || sink.calls != c.calls {
			t.Errorf("%d bytes, split %v: %d calls, %v; want %d", c.size, c.split, sink.calls, err, c.calls)
		}
	}
}
