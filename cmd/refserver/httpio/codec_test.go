package httpio

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
			require.NoError(t, err, "%q in pieces of %d", raw, n)
			require.True(t, done, "%q in pieces of %d: not done, %d bytes of body, rest %q", raw, n, c.BodySize(), rest)
			require.Equal(t, next, string(rest), "%q in pieces of %d: rest", raw, n)
			require.Equal(t, size, c.BodySize(), "%q in pieces of %d: size of the body", raw, n)
			require.Equal(t, size, int64(content.Len()), "%q in pieces of %d: bytes of body", raw, n)
			require.Equal(t, "/p", string(c.Head().Path), "%q in pieces of %d", raw, n)
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
		assert.False(t, done, "%.80q: done, %v; want status %d", raw, err, status)
		if status == 0 {
			assert.NoError(t, err, "%.80q", raw)
			continue
		}
		var e *Error
		if assert.ErrorAs(t, err, &e, "%.80q: want status %d", raw, status) {
			assert.Equal(t, status, e.Status, "%.80q: %v", raw, err)
		}
	}
}

func TestWantsContinueOnce(t *testing.T) {
	c := NewHTTP()
	head := []byte("PUT /p HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")
	assert.False(t, c.WantsContinue(), "before the head")
	_, done, err := c.Decode(head)
	require.NoError(t, err)
	require.False(t, done, "done without the body")
	assert.True(t, c.WantsContinue(), "after the head: not even once")
	assert.False(t, c.WantsContinue(), "after the head: more than once")
	c.Reset()
	_, done, err = c.Decode(append(head, 'x'))
	require.NoError(t, err)
	require.True(t, done, "not done with the body")
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
		assert.NoError(t, w.Finish(), c.name)
		assert.Equal(t, c.want, sink.String(), c.name)
		assert.Equal(t, c.reusable, w.KeepAlive(), "%s: keep-alive", c.name)
		before := sink.Len()
		assert.NoError(t, w.Finish(), "%s: a second Finish", c.name)
		assert.Empty(t, sink.String()[before:], "%s: a second Finish wrote something", c.name)
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
		assert.NoError(t, w.Finish(), "%d bytes, split %v", c.size, c.split)
		assert.Equal(t, c.calls, sink.calls, "%d bytes, split %v: calls", c.size, c.split)
	}
}
