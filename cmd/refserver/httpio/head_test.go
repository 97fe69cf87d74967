package httpio

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseHead(t *testing.T) {
	const rest = "NEXT"
	raw := "GET /sleep?ms=5&id=q HTTP/1.1\r\nhOST: a\r\nX-Request-ID:  r1 \r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\nContent-Length: 3\r\nContent-Type: text/x\r\nExpect: 100-Continue\r\nConnection: Close\r\n\r\n"
	var h Head
	n, err := ParseHead([]byte(raw+rest), &h)
	require.NoError(t, err)
	require.Equal(t, len(raw), n, "length of the head")
	assert.Equal(t, "GET", h.Method)
	assert.Equal(t, "/sleep", string(h.Path))
	assert.Equal(t, "ms=5&id=q", string(h.Query))
	assert.Equal(t, 1, h.Minor)
	assert.Equal(t, "a", string(h.Host))
	assert.Equal(t, "r1", string(h.RequestID))
	assert.Equal(t, int64(3), h.ContentLength)
	assert.True(t, h.Expect, "head is %+v", h)
	assert.False(t, h.KeepAlive, "head is %+v", h)
	assert.False(t, h.Chunked, "head is %+v", h)
	assert.Equal(t, "text/x", string(h.ContentType))
	assert.Equal(t, "r1", string(h.ID()))
	assert.True(t, h.HasBody(), "head is %+v", h)
	// Each prefix of it is an incomplete head, and nothing else.
	for i := range len(raw) - 1 {
		_, err = ParseHead([]byte(raw[:i]), &h)
		assert.ErrorIs(t, err, ErrIncomplete, "the first %d bytes", i)
	}
}

func TestParseHeadForms(t *testing.T) {
	for _, c := range []struct {
		raw, path string
		keepAlive bool
	}{
		{"GET / HTTP/1.0\r\n\r\n", "/", false},
		{"GET / HTTP/1.0\r\nConnection: x, Keep-Alive\r\n\r\n", "/", true},
		{"GET / HTTP/1.1\nHost: a\n\n", "/", true},
		{"\r\n\r\nGET /after HTTP/1.1\r\nHost: a\r\n\r\n", "/after", true},
		{"GET http://a.test/p?q HTTP/1.1\r\nHost: a\r\n\r\n", "/p", true},
		{"GET http://a.test HTTP/1.1\r\nHost: a\r\n\r\n", "/", true},
		{"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "*", true},
		{"BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n", "/pot", true},
	} {
		var h Head
		n, err := ParseHead([]byte(c.raw), &h)
		assert.NoError(t, err, "%q", c.raw)
		assert.Equal(t, len(c.raw), n, "%q: length", c.raw)
		assert.Equal(t, c.path, string(h.Path), "%q: path", c.raw)
		assert.Equal(t, c.keepAlive, h.KeepAlive, "%q: keep-alive", c.raw)
	}
}

func TestParseHeadErrors(t *testing.T) {
	host := "GET / HTTP/1.1\r\nHost: a\r\n"
	for raw, status := range map[string]int{
		"\x16\x03\x01":                                        400,
		"GET / HTTP/1.1 x\r\n\r\n":                            400,
		"GET /a b HTTP/1.1\r\n\r\n":                           400,
		"GET\r\n\r\n":                                         400,
		"G@T / HTTP/1.1\r\n\r\n":                              400,
		"GET nowhere HTTP/1.1\r\n\r\n":                        400,
		"GET /\x01 HTTP/1.1\r\n\r\n":                          400,
		"GET / HTTP/3.0\r\n\r\n":                              505,
		"GET / GOPHER\r\n\r\n":                                400,
		host + "no colon\r\n\r\n":                             400,
		host + " folded: x\r\n\r\n":                           400,
		host + "Content-Length: 1,1\r\n\r\n":                  400,
		host + "Content-Length: \r\n\r\n":                     400,
		host + "Content-Length: 99999999999999999999\r\n\r\n": 400,
		host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n": 501,
		host + "X: " + strings.Repeat("x", MaxHead) + "\r\n\r\n":                  431,
		strings.Repeat("G", MaxHead):                                              431,
		host + "X: " + strings.Repeat("x", MaxHead):                               431,
	} {
		var h Head
		_, err := ParseHead([]byte(raw), &h)
		var e *Error
		if assert.ErrorAs(t, err, &e, "%.60q: want status %d", raw, status) {
			assert.Equal(t, status, e.Status, "%.60q: %v", raw, err)
			assert.NotEmpty(t, e.Reason, "%.60q: status %d without a reason", raw, e.Status)
		}
	}
}

func TestEndToEnd(t *testing.T) {
	var h Head
	_, err := ParseHead([]byte("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nUser-Agent: u\r\nExpect: 100-continue\r\nTE: x\r\nCookie: a:b\r\n\r\n"), &h)
	require.NoError(t, err)
	var got []string
	for name, value := range h.EndToEnd() {
		got = append(got, string(name)+"="+string(value))
	}
	assert.Equal(t, "Host=a User-Agent=u Cookie=a:b", strings.Join(got, " "))
}

func FuzzParseHead(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
	f.Add([]byte("POST /upload?id=1 HTTP/1.0\r\nContent-Length: 10\r\n\r\n0123456789"))
	f.Add([]byte("\x16\x03\x01\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var h Head
		n, err := ParseHead(b, &h)
		var e *Error
		switch {
		case err == nil:
			require.Positive(t, n, "%q: length of %+v", b, h)
			require.LessOrEqual(t, n, len(b), "%q: length of %+v", b, h)
			require.NotEmpty(t, h.Method, "%q: %d bytes, %+v", b, n, h)
			require.NotEmpty(t, h.Path, "%q: %d bytes, %+v", b, n, h)
		case !errors.Is(err, ErrIncomplete):
			require.ErrorAs(t, err, &e, "%q", b)
			require.GreaterOrEqual(t, e.Status, 400, "%q: %v", b, err)
		}
		h.ID()
	})
}

func BenchmarkParseHead(b *testing.B) {
	raw := []byte("GET /sleep?ms=5 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\nX-Request-Id: 42\r\n\r\n")
	var h Head
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseHead(raw, &h); err != nil {
			b.Fatal(err)
		}
	}
}
