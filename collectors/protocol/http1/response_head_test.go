package http1

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	nginxResponse = "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Fri, 20 Nov 2026 17:02:37 GMT\r\n" +
		"Content-Type: text/plain\r\nContent-Length: 6\r\nConnection: keep-alive\r\n\r\n"
	gunicornChunked = "HTTP/1.1 200 OK\r\nServer: gunicorn\r\nDate: Fri, 20 Nov 2026 17:02:38 GMT\r\n" +
		"Connection: close\r\nTransfer-Encoding: chunked\r\nContent-Type: text/plain\r\n\r\n"
	apacheResponse = "HTTP/1.1 304 Not Modified\r\nDate: Fri, 20 Nov 2026 17:02:38 GMT\r\nServer: Apache/2.4.62 (Debian)\r\n" +
		"ETag: \"29cd-6270b1\"\r\nKeep-Alive: timeout=5, max=100\r\nConnection: Keep-Alive\r\n\r\n"
	uwsgiResponse   = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n"
	wsgirefResponse = "HTTP/1.0 200 OK\r\nDate: Fri, 20 Nov 2026 17:02:38 GMT\r\nServer: WSGIServer/0.2 CPython/3.11.2\r\n" +
		"Content-type: text/plain\r\nContent-Length: 5\r\n\r\n"
	switchingResponse = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
)

func TestParseResponse(t *testing.T) {
	for name, tc := range map[string]struct {
		head string
		want ResponseHead
	}{
		"nginx":           {nginxResponse, ResponseHead{Status: 200, Minor: 1, ContentLength: 6, KeepAlive: true}},
		"gunicorn":        {gunicornChunked, ResponseHead{Status: 200, Minor: 1, ContentLength: -1, Chunked: true}},
		"Apache":          {apacheResponse, ResponseHead{Status: 304, Minor: 1, ContentLength: -1, KeepAlive: true}},
		"uWSGI":           {uwsgiResponse, ResponseHead{Status: 200, Minor: 1, ContentLength: -1, KeepAlive: true}},
		"wsgiref":         {wsgirefResponse, ResponseHead{Status: 200, ContentLength: 5}},
		"upgrade":         {switchingResponse, ResponseHead{Status: 101, Minor: 1, ContentLength: -1, KeepAlive: true}},
		"continue":        {"HTTP/1.1 100 Continue\r\n\r\n", ResponseHead{Status: 100, Minor: 1, ContentLength: -1, KeepAlive: true}},
		"no reason":       {"HTTP/1.1 200\r\n\r\n", ResponseHead{Status: 200, Minor: 1, ContentLength: -1, KeepAlive: true}},
		"bare LF":         {"HTTP/1.0 404 Gone\ncontent-LENGTH: 1\n\n", ResponseHead{Status: 404, ContentLength: 1}},
		"other coding":    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", ResponseHead{Status: 200, Minor: 1, ContentLength: -1, OtherCoding: true, KeepAlive: true}},
		"lengths differ":  {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", ResponseHead{Status: 200, Minor: 1, ContentLength: -1, BadLength: true, KeepAlive: true}},
		"1.0, keep-alive": {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", ResponseHead{Status: 200, ContentLength: -1, KeepAlive: true}},
	} {
		t.Run(name, func(t *testing.T) {
			var h ResponseHead
			tc.want.HeadLen = len(tc.head)
			require.Equal(t, OK, ParseResponse([]byte(tc.head+"body"), &h))
			assert.Equal(t, tc.want, h)
		})
	}
}

func TestParseResponseCut(t *testing.T) {
	for name, tc := range map[string]struct {
		head string
		want ResponseHead
	}{
		"nothing":         {"", ResponseHead{ContentLength: -1}},
		"in the version":  {"HTTP/1.", ResponseHead{ContentLength: -1}},
		"in the status":   {"HTTP/1.1 20", ResponseHead{Minor: 1, ContentLength: -1, KeepAlive: true}},
		"wsgiref's first": {"HTTP/1.0 200 OK\r\n", ResponseHead{Status: 200, ContentLength: -1}},
		"in a field":      {"HTTP/1.1 200 OK\r\nContent-Length: 1", ResponseHead{Status: 200, Minor: 1, ContentLength: -1, KeepAlive: true}},
		"after a field":   {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nX", ResponseHead{Status: 200, Minor: 1, ContentLength: 1, KeepAlive: true}},
	} {
		t.Run(name, func(t *testing.T) {
			var h ResponseHead
			require.Equal(t, Partial, ParseResponse([]byte(tc.head), &h))
			assert.Equal(t, tc.want, h)
		})
	}
}

func TestParseResponseOfOtherProtocols(t *testing.T) {
	for bytes, want := range map[string]Verdict{
		"\x16\x03\x03\x00\x7a\x02":           TLS,
		"HTTP/2.0 200 OK\r\n\r\n":            NotHTTP,
		"HTTP/1.x 200 OK\r\n\r\n":            NotHTTP,
		"HTTP/1.1\t200 OK\r\n\r\n":           NotHTTP,
		"HTTP/1.1 099 OK\r\n\r\n":            NotHTTP,
		"HTTP/1.1 2000 OK\r\n\r\n":           NotHTTP,
		"HTTP/1.1 2x0 OK\r\n\r\n":            NotHTTP,
		"http/1.1 200 OK\r\n\r\n":            NotHTTP,
		"<html><body>hello</body></html>":    NotHTTP,
		"Status: 200 OK\r\nX: y\r\n\r\nbody": NotHTTP,
	} {
		var h ResponseHead
		assert.Equal(t, want.String(), ParseResponse([]byte(bytes), &h).String(), "%q", bytes)
		assert.Zero(t, h.HeadLen, "%q", bytes)
	}
}
