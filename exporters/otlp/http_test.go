package otlp

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"lapwing/collectors/request"
)

func TestSpanStatus(t *testing.T) {
	tests := []struct {
		status    int
		failed    bool
		errorType any
	}{{200, false, nil}, {404, false, nil}, {499, false, nil}, {500, true, "500"}, {503, true, "503"}}
	for _, test := range tests {
		b, r := newTestBuilder(t, false), sample()
		r.Status = test.status
		root := spansOf(t, b, r)[0]
		assert.Equal(t, test.failed, root.Status.GetCode() == tracepb.Status_STATUS_CODE_ERROR, "%d: error status", test.status)
		assert.Equal(t, test.errorType, plain(root.Attributes)["error.type"], "%d: error.type", test.status)
	}
}

func TestSpanNameAndMethod(t *testing.T) {
	tests := []struct {
		method, sent, route string
		name, attribute     string
		original            any
	}{
		{"GET", "", "", "GET", "GET", nil},
		{"POST", "", "/users/{id}", "POST /users/{id}", "POST", nil},
		{"PURGE", "", "", "HTTP", "_OTHER", "PURGE"},
		{"get", "", "/x", "HTTP /x", "_OTHER", "get"},
		{"_OTHER", "BREW", "", "HTTP", "_OTHER", "BREW"},
		{"_OTHER", "", "", "HTTP", "_OTHER", nil},
		{"", "", "", "HTTP", "_OTHER", nil},
	}
	for _, test := range tests {
		b, r := newTestBuilder(t, false), sample()
		r.Method, r.Detail = test.method, &detail{method: test.sent}
		r.Route = test.route
		root := spansOf(t, b, r)[0]
		have := plain(root.Attributes)
		assert.Equal(t, test.name, root.Name, "%+v", test)
		assert.Equal(t, test.attribute, have["http.request.method"], "%+v", test)
		assert.Equal(t, test.original, have["http.request.method_original"], "%+v", test)
	}
}

func TestQueryOnlyWhenAsked(t *testing.T) {
	have := plain(spansOf(t, newTestBuilder(t, false), sample())[0].Attributes)
	assert.NotContains(t, have, "url.query", "by default")
	have = plain(spansOf(t, newTestBuilder(t, true), sample())[0].Attributes)
	assert.Equal(t, "key=secret", have["url.query"])
}

func TestServerAndPeer(t *testing.T) {
	tests := map[string]struct {
		change func(*request.Request)
		want   map[string]any // nil values must be absent
	}{
		"host without a port": {
			func(r *request.Request) { r.Host = []byte("shop.example") },
			map[string]any{"server.address": "shop.example", "server.port": int64(8080)},
		},
		"no host": {
			func(r *request.Request) { r.Host = nil },
			map[string]any{"server.address": "127.0.0.1", "server.port": int64(8080)},
		},
		"IPv6 host": {
			func(r *request.Request) { r.Host = []byte("[::1]:81") },
			map[string]any{"server.address": "::1", "server.port": int64(81)},
		},
		"port that is none": {
			func(r *request.Request) { r.Host = []byte("a:b:c") },
			map[string]any{"server.address": "a:b:c", "server.port": int64(8080)},
		},
		"IPv4 in IPv6": {
			func(r *request.Request) {
				r.Peer = request.Endpoint{Addr: netip.MustParseAddrPort("[::ffff:10.0.0.1]:5")}
			},
			map[string]any{"client.address": "10.0.0.1", "network.peer.address": "10.0.0.1"},
		},
		"unix socket": {
			func(r *request.Request) {
				r.Host, r.Local, r.Peer = nil, request.Endpoint{IsUn: true, Unix: []byte("/run/app.sock")}, request.Endpoint{IsUn: true}
			},
			map[string]any{
				"network.transport": "unix", "server.address": "/run/app.sock", "server.port": nil,
				"client.address": nil, "network.peer.address": nil, "network.peer.port": nil,
			},
		},
		"other protocol": {
			func(r *request.Request) { r.Protocol = "fastcgi" },
			map[string]any{"network.protocol.name": "fastcgi", "network.protocol.version": nil, "url.scheme": nil},
		},
	}
	for name, test := range tests {
		b, r := newTestBuilder(t, false), sample()
		test.change(r)
		have := plain(spansOf(t, b, r)[0].Attributes)
		for key, want := range test.want {
			assert.Equal(t, want, have[key], "%s: %s", name, key)
		}
	}
}
