package http1

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/collectors/protocol"
	"lapwing/collectors/request"
)

const (
	curlHead = "POST /p/a?x=1 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n" +
		"Traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n" +
		"Content-Length: 3\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n"
	wrkHead    = "GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n"
	abHead     = "GET /fast HTTP/1.0\r\nConnection: Keep-Alive\r\nHost: localhost:8080\r\nUser-Agent: ApacheBench/2.3\r\nAccept: */*\r\n\r\n"
	chromeHead = "GET /shop/cart?item=42&lang=de HTTP/1.1\r\nHost: shop.example\r\nConnection: keep-alive\r\n" +
		"Cache-Control: max-age=0\r\nsec-ch-ua: \"Chromium\";v=\"130\", \"Not?A_Brand\";v=\"99\"\r\nsec-ch-ua-mobile: ?0\r\n" +
		"Upgrade-Insecure-Requests: 1\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36\r\n" +
		"Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8\r\nAccept-Encoding: gzip, deflate, br\r\nCookie: sid=0123456789abcdef\r\n\r\n"
	webSocketHead = "GET /chat HTTP/1.1\r\nHost: chat.example\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	nginxProxyHead = "GET /app HTTP/1.0\r\nHost: backend\r\nX-Forwarded-For: 10.0.0.7\r\nConnection: close\r\n\r\n"
	uploadHead     = "PUT /file HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
)

// wantRequest is what a request head should contain. Fields that are not set are
// expected to be empty.
type wantRequest struct {
	verdict                  Verdict
	method, raw, path, query string
	host, agent              string
	minor                    int
	length                   int64
	chunked, bad, keep       bool
	upgrade, expect, lineCut bool
	headLen                  int
}

func checkRequest(t *testing.T, head string, want wantRequest) {
	t.Helper()
	var h RequestHead
	require.Equal(t, want.verdict, ParseRequest([]byte(head), &h))
	if want.raw == "" {
		want.raw = want.method
	}
	got := wantRequest{
		verdict: want.verdict, method: h.Method, raw: string(h.RawMethod), path: string(h.Path), query: string(h.Query),
		host: string(h.Host), agent: string(h.UserAgent), minor: h.Minor, length: h.ContentLength,
		chunked: h.Chunked, bad: h.BadLength, keep: h.KeepAlive, upgrade: h.Upgrade, expect: h.Expect100,
		lineCut: h.LineCut, headLen: h.HeadLen,
	}
	assert.Equal(t, want, got)
}

func TestParseRequestOfRealClients(t *testing.T) {
	const chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36"
	for name, tc := range map[string]struct {
		head string
		want wantRequest
	}{
		"curl": {curlHead, wantRequest{method: "POST", path: "/p/a", query: "x=1", host: "127.0.0.1:8080",
			agent: "curl/7.88.1", minor: 1, length: 3, keep: true}},
		"wrk": {wrkHead, wantRequest{method: "GET", path: "/", host: "127.0.0.1:8080", minor: 1, length: -1, keep: true}},
		"ab": {abHead, wantRequest{method: "GET", path: "/fast", host: "localhost:8080", agent: "ApacheBench/2.3",
			length: -1, keep: true}},
		"chrome": {chromeHead, wantRequest{method: "GET", path: "/shop/cart", query: "item=42&lang=de",
			host: "shop.example", agent: chrome, minor: 1, length: -1, keep: true}},
		"websocket": {webSocketHead, wantRequest{method: "GET", path: "/chat", host: "chat.example", minor: 1,
			length: -1, keep: true, upgrade: true}},
		"nginx to upstream": {nginxProxyHead, wantRequest{method: "GET", path: "/app", host: "backend", length: -1}},
		"upload":            {uploadHead, wantRequest{method: "PUT", path: "/file", host: "h", minor: 1, length: -1, chunked: true, keep: true, expect: true}},
	} {
		t.Run(name, func(t *testing.T) {
			tc.want.headLen = len(tc.head)
			checkRequest(t, tc.head, tc.want)
			checkRequest(t, tc.head+"body and more", tc.want)
		})
	}
}

func TestParseRequestForms(t *testing.T) {
	for name, tc := range map[string]struct {
		head string
		want wantRequest
	}{
		"bare LF": {"GET /a HTTP/1.1\nhost: h\n\n",
			wantRequest{method: "GET", path: "/a", host: "h", minor: 1, length: -1, keep: true}},
		"leading line breaks": {"\r\n\n\r\nGET /a HTTP/1.1\r\n\r\n",
			wantRequest{method: "GET", path: "/a", minor: 1, length: -1, keep: true}},
		"upper-case names": {"GET / HTTP/1.1\r\nHOST: H\r\nCONTENT-LENGTH:7\r\nUSER-AGENT:\tx \r\n\r\n",
			wantRequest{method: "GET", path: "/", host: "H", agent: "x", minor: 1, length: 7, keep: true}},
		"absolute form": {"GET http://u:secret@a.example:81/p?q=http://x HTTP/1.1\r\nHost: b\r\n\r\n",
			wantRequest{method: "GET", path: "/p", query: "q=http://x", host: "a.example:81", minor: 1, length: -1, keep: true}},
		"absolute form without path": {"GET http://a HTTP/1.1\r\n\r\n",
			wantRequest{method: "GET", path: "/", host: "a", minor: 1, length: -1, keep: true}},
		"absolute form with query only": {"GET http://a?q HTTP/1.1\r\n\r\n",
			wantRequest{method: "GET", path: "/", query: "q", host: "a", minor: 1, length: -1, keep: true}},
		"authority form": {"CONNECT a.example:443 HTTP/1.1\r\nHost: b\r\n\r\n",
			wantRequest{method: "CONNECT", host: "a.example:443", minor: 1, length: -1, keep: true}},
		"asterisk form": {"OPTIONS * HTTP/1.1\r\n\r\n",
			wantRequest{method: "OPTIONS", path: "*", minor: 1, length: -1, keep: true}},
		"target without slash": {"GET x/y HTTP/1.1\r\n\r\n",
			wantRequest{method: "GET", path: "x/y", minor: 1, length: -1, keep: true}},
		"unknown method": {"PROPFIND /dav HTTP/1.1\r\n\r\n",
			wantRequest{method: "_OTHER", raw: "PROPFIND", path: "/dav", minor: 1, length: -1, keep: true}},
		"lower-case method is another one": {"get / HTTP/1.1\r\n\r\n",
			wantRequest{method: "_OTHER", raw: "get", path: "/", minor: 1, length: -1, keep: true}},
		"space in the target": {"GET /a b HTTP/1.1\r\n\r\n",
			wantRequest{method: "GET", path: "/a", minor: 1, length: -1, keep: true}},
		"spaces around the target": {"GET   /a   HTTP/1.1  \r\n\r\n",
			wantRequest{method: "GET", path: "/a", minor: 1, length: -1, keep: true}},
		"bytes above ASCII": {"GET /\xff\xc3\xa9 HTTP/1.1\r\n\r\n",
			wantRequest{method: "GET", path: "/\xff\xc3\xa9", minor: 1, length: -1, keep: true}},
		"minor version above 1": {"GET / HTTP/1.7\r\n\r\n",
			wantRequest{method: "GET", path: "/", minor: 1, length: -1, keep: true}},
		"close outranks keep-alive": {"GET / HTTP/1.1\r\nConnection: keep-alive\r\nConnection: foo , Close\r\n\r\n",
			wantRequest{method: "GET", path: "/", minor: 1, length: -1}},
		"no interim for 1.0": {"PUT / HTTP/1.0\r\nExpect: 100-Continue\r\n\r\n",
			wantRequest{method: "PUT", path: "/", length: -1}},
		"first Host wins": {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
			wantRequest{method: "GET", path: "/", host: "a", minor: 1, length: -1, keep: true}},
		"lines that are no fields": {"GET / HTTP/1.1\r\nnonsense\r\n: empty\r\nHost : spaced\r\nHost: h\r\n\r\n",
			wantRequest{method: "GET", path: "/", host: "h", minor: 1, length: -1, keep: true}},
		"folded fields": {"GET / HTTP/1.1\r\nTransfer-Encoding: gzip,\r\n chunked\r\nUser-Agent: one\r\n\ttwo\r\nHost:\r\n h\r\n\r\n",
			wantRequest{method: "GET", path: "/", host: "h", agent: "one", minor: 1, length: -1, chunked: true, keep: true}},
	} {
		t.Run(name, func(t *testing.T) {
			tc.want.headLen = len(tc.head)
			checkRequest(t, tc.head, tc.want)
		})
	}
}

func TestParseRequestBodyLength(t *testing.T) {
	const prefix = "POST / HTTP/1.1\r\n"
	for name, tc := range map[string]struct {
		fields       string
		length       int64
		chunked, bad bool
	}{
		"none":                 {"", -1, false, false},
		"plain":                {"Content-Length: 12\r\n", 12, false, false},
		"leading zeros":        {"Content-Length: 0000000000000000000000012\r\n", 12, false, false},
		"twice the same":       {"Content-Length: 12\r\nContent-Length: 12\r\n", 12, false, false},
		"list of the same":     {"Content-Length: 12, 12\r\n", 12, false, false},
		"conflict":             {"Content-Length: 12\r\nContent-Length: 13\r\n", -1, false, true},
		"conflict, then again": {"Content-Length: 1, 2\r\nContent-Length: 2\r\n", -1, false, true},
		"empty":                {"Content-Length:\r\n", -1, false, true},
		"signed":               {"Content-Length: +12\r\n", -1, false, true},
		"hexadecimal":          {"Content-Length: 0x12\r\n", -1, false, true},
		"too large":            {"Content-Length: 99999999999999999999\r\n", -1, false, true},
		"folded":               {"Content-Length: 1\r\n 2\r\n", -1, false, true},
		"chunked and length":   {"Content-Length: 5\r\nTransfer-Encoding: Chunked\r\n", 5, true, false},
		"chunked last":         {"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", -1, true, false},
		"chunked not last":     {"Transfer-Encoding: chunked, gzip\r\n", -1, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			var h RequestHead
			require.Equal(t, OK, ParseRequest([]byte(prefix+tc.fields+"\r\n"), &h))
			assert.Equal(t, tc.length, h.ContentLength)
			assert.Equal(t, tc.chunked, h.Chunked)
			assert.Equal(t, tc.bad, h.BadLength)
		})
	}
}

func TestParseRequestCut(t *testing.T) {
	for name, tc := range map[string]struct {
		head string
		want wantRequest
	}{
		"nothing":          {"", wantRequest{minor: 1, length: -1, lineCut: true}},
		"line breaks only": {"\r\n\r\n", wantRequest{minor: 1, length: -1, lineCut: true}},
		"in the method":    {"PO", wantRequest{minor: 1, length: -1, lineCut: true}},
		"after the method": {"POST ", wantRequest{method: "POST", minor: 1, length: -1, keep: true, lineCut: true}},
		"in the path":      {"GET /a/b", wantRequest{method: "GET", path: "/a/b", minor: 1, length: -1, keep: true, lineCut: true}},
		"in the query":     {"GET /a/b?c=", wantRequest{method: "GET", path: "/a/b", query: "c=", minor: 1, length: -1, keep: true, lineCut: true}},
		"in the version":   {"GET /a HTTP/1", wantRequest{method: "GET", path: "/a", minor: 1, length: -1, keep: true, lineCut: true}},
		"in the scheme":    {"GET htt", wantRequest{method: "GET", minor: 1, length: -1, keep: true, lineCut: true}},
		"in the authority": {"GET http://exam", wantRequest{method: "GET", minor: 1, length: -1, keep: true, lineCut: true}},
		"in CONNECT":       {"CONNECT exam", wantRequest{method: "CONNECT", minor: 1, length: -1, keep: true, lineCut: true}},
		"after the line":   {"GET /a HTTP/1.0\r\n", wantRequest{method: "GET", path: "/a", length: -1}},
		"in a field":       {"GET /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1", wantRequest{method: "GET", path: "/a", host: "a", minor: 1, length: -1, keep: true}},
		"where a fold may come": {"GET /a HTTP/1.1\r\nContent-Length: 1\r\n",
			wantRequest{method: "GET", path: "/a", minor: 1, length: -1, keep: true}},
		"in the blank line": {"GET /a HTTP/1.1\r\nContent-Length: 1\r\n\r",
			wantRequest{method: "GET", path: "/a", minor: 1, length: 1, keep: true}},
	} {
		t.Run(name, func(t *testing.T) {
			tc.want.verdict = Partial
			checkRequest(t, tc.head, tc.want)
		})
	}
}

func TestParseRequestOfAnyMethod(t *testing.T) {
	long := strings.Repeat("M", 300)
	for method, raw := range map[string]string{
		"get": "get", "M1": "M1", "1": "1", "!#$%&'*+-.^_`|~09azAZ": "!#$%&'*+-.^_`|~09azAZ", long[:32]: long[:32], long: long[:33],
	} {
		t.Run(raw, func(t *testing.T) {
			checkRequest(t, method+" /a HTTP/1.0\r\n\r\n", wantRequest{method: protocol.MethodOther, raw: raw, path: "/a", length: -1,
				headLen: len(method) + len(" /a HTTP/1.0\r\n\r\n")})
		})
	}
	checkRequest(t, long, wantRequest{verdict: Partial, method: protocol.MethodOther, raw: long[:33], minor: 1, length: -1, lineCut: true})

	var h RequestHead
	var r request.Request
	var m Message
	require.Equal(t, OK, ParseRequest([]byte(long+" /a HTTP/1.1\r\n\r\n"), &h))
	Describe(&r, &h, nil, &m)
	assert.Equal(t, protocol.MethodOther, r.Method)
	assert.Equal(t, long[:29]+"…", string(m.MethodOriginal()))
}

func TestParseRequestOfOtherProtocols(t *testing.T) {
	for name, tc := range map[string]struct {
		bytes string
		want  Verdict
	}{
		"TLS client hello":           {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", TLS},
		"one byte that may be TLS":   {"\x16", Partial},
		"HTTP/2 preface":             {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x12\x04", HTTP2},
		"begin of an HTTP/2 preface": {"PRI * HTTP/2", Partial},
		"uwsgi":                      {"\x00\x44\x01\x00\x0e\x00REQUEST_METHOD\x03\x00GET", NotHTTP},
		"FastCGI":                    {"\x01\x01\x00\x01\x00\x08\x00\x00", NotHTTP},
		"SCGI":                       {"337:CONTENT_LENGTH\x000\x00", NotHTTP},
		"Redis":                      {"PING\r\n", NotHTTP},
		"SMTP":                       {"HELO relay.example\r\n", NotHTTP},
		"SSH":                        {"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", NotHTTP},
		"HTTP/0.9":                   {"GET /index.html\r\n", NotHTTP},
		"no target":                  {"GET HTTP/1.1\r\n\r\n", NotHTTP},
		"HTTP/3.0":                   {"GET / HTTP/3.0\r\n\r\n", NotHTTP},
		"a word and no more":         {strings.Repeat("A", 300), Partial},
		"a long word, no token":      {strings.Repeat("A", 100) + ":", NotHTTP},
		"a long line":                {strings.Repeat("A", 100) + " / SIP/2.0\r\n", NotHTTP},
		"a space first":              {" GET / HTTP/1.1\r\n\r\n", NotHTTP},
		"a response":                 {"HTTP/1.1 200 OK\r\n\r\n", NotHTTP},
		"a control byte as target":   {"GET \x00\x01", NotHTTP},
	} {
		t.Run(name, func(t *testing.T) {
			var h RequestHead
			assert.Equal(t, tc.want.String(), ParseRequest([]byte(tc.bytes), &h).String())
			assert.Zero(t, h.HeadLen)
		})
	}
}

func TestParseRequestReusesHead(t *testing.T) {
	var h RequestHead
	require.Equal(t, OK, ParseRequest([]byte(curlHead), &h))
	require.Equal(t, OK, ParseRequest([]byte("GET / HTTP/1.0\r\n\r\n"), &h))
	assert.Equal(t, RequestHead{Method: "GET", RawMethod: []byte("GET"), Path: []byte("/"), ContentLength: -1, HeadLen: 18}, h)
}

func TestParseRequestTraceContext(t *testing.T) {
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	var h RequestHead
	head := "GET / HTTP/1.1\r\ntraceparent: " + parent + "\r\ntracestate: a=1,b=2\r\n"
	require.Equal(t, OK, ParseRequest([]byte(head+"\r\n"), &h))
	assert.Equal(t, parent, string(h.TraceParent))
	assert.Equal(t, "a=1,b=2", string(h.TraceState))

	require.Equal(t, OK, ParseRequest([]byte(head+"TraceParent: "+parent+"\r\n\r\n"), &h))
	assert.Empty(t, h.TraceParent, "a receiver ignores a traceparent that comes twice")
}
