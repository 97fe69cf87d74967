package http1

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/collectors/request"
)

func TestDescribe(t *testing.T) {
	var req RequestHead
	var resp ResponseHead
	var m Message
	var r request.Request
	require.Equal(t, OK, ParseRequest([]byte(curlHead), &req))
	require.Equal(t, OK, ParseResponse([]byte(wsgirefResponse), &resp))
	Describe(&r, &req, &resp, &m)

	assert.Equal(t, request.Request{
		Protocol: "http/1.1", Method: "POST", Path: []byte("/p/a"), Status: 200, Host: []byte("127.0.0.1:8080"), Detail: &m,
	}, r)
	assert.Equal(t, Message{
		Query: []byte("x=1"), UserAgent: []byte("curl/7.88.1"),
		TraceParent:    []byte("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
		RequestHeadLen: len(curlHead), ResponseHeadLen: len(wsgirefResponse),
	}, m)
}

func TestDescribeKeepsUnknownMethod(t *testing.T) {
	var req RequestHead
	var m Message
	var r request.Request
	for _, method := range []string{"GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "QUERY"} {
		require.Equal(t, OK, ParseRequest([]byte(method+" / HTTP/1.1\r\n\r\n"), &req))
		Describe(&r, &req, nil, &m)
		assert.Equal(t, method, r.Method)
		assert.Nil(t, m.RawMethod)
	}
	require.Equal(t, OK, ParseRequest([]byte("BREW /pot HTTP/1.1\r\n\r\n"), &req))
	Describe(&r, &req, nil, &m)
	assert.Equal(t, "_OTHER", r.Method)
	assert.Equal(t, "BREW", string(m.RawMethod))
}

func TestDescribeProtocol(t *testing.T) {
	for name, tc := range map[string]struct {
		req, resp string // heads; empty if not seen
		want      string
	}{
		"request's":            {"GET / HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", "http/1.0"},
		"response's":           {"", "HTTP/1.0 200 OK\r\n\r\n", "http/1.0"},
		"request line cut":     {"GET /", "HTTP/1.0 200 OK\r\n\r\n", "http/1.0"},
		"nothing but a method": {"GET /", "", "http/1.1"},
		"nothing":              {"", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var req RequestHead
			var resp ResponseHead
			var r request.Request
			ParseRequest([]byte(tc.req), &req)
			ParseResponse([]byte(tc.resp), &resp)
			Describe(&r, &req, &resp, new(Message))
			assert.Equal(t, tc.want, r.Protocol)
		})
	}
}

func TestMessageCloneSharesNothing(t *testing.T) {
	m := &Message{
		RawMethod: []byte("BREW"), Query: []byte("q"), UserAgent: []byte("ua"), TraceParent: []byte("tp"),
		TraceState: []byte("ts"), RequestHeadLen: 1, ResponseHeadLen: 2,
	}
	clone := m.Clone()
	require.Equal(t, m, clone)
	for _, b := range [][]byte{m.RawMethod, m.Query, m.UserAgent, m.TraceParent, m.TraceState} {
		b[0] = 'X'
	}
	assert.Equal(t, &Message{
		RawMethod: []byte("BREW"), Query: []byte("q"), UserAgent: []byte("ua"), TraceParent: []byte("tp"),
		TraceState: []byte("ts"), RequestHeadLen: 1, ResponseHeadLen: 2,
	}, clone)
}
