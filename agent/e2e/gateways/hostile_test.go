package gateways

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
	"lapwing/collectors/protocol/protocoltest"
	"lapwing/probes/socket/survey"
)

// hostile returns bytes that are not a request, by the reason under which they
// are counted.
func hostile() map[string][]string {
	vars := protocoltest.Get("/invented")
	fastcgi, uwsgi, scgi := vars.FastCGI(1, false, ""), vars.UWSGI(), vars.SCGI()
	return map[string][]string{
		// The response is not a FastCGI record, which decides for truncated
		// requests.
		"fastcgi_malformed":   {fastcgi[:60], fastcgi[:8], fastcgi[:16] + "\x02" + fastcgi[17:], fastcgi[:16] + "\x01\x04\x00\x01\x00\x04\x00\x00\x7f\x00xx\x01\x04\x00\x01\x00\x00\x00\x00"},
		"uwsgi_truncated":     {uwsgi[:60], "\x00\xff\xff\x00" + uwsgi[4:]},
		"uwsgi_malformed":     {"\x00\x14\x00\x00\x0c\x00QUERY_STRING\x77\x00xxxx", protocoltest.Vars{"HTTP_HOST", "h"}.UWSGI()},
		"scgi_truncated":      {scgi[:60], "9" + scgi},
		"scgi_malformed":      {"42" + scgi[3:], scgi[:len(scgi)-1] + "x"},
		"passenger_truncated": {vars.Passenger()[:80]},
		"tls":                 {"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + string(make([]byte, 160))},
		"http2":               {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"},
		"not_http": {"\x00\xff\x17\x80noise\x01\x02\x03", "\x00\x00\x01\x2e\x00\x12\x00\x03\x00\x00\x00\x01kafka", "220 mail.test\r\n",
			"\x40\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00noise", "\x00\x10\x00"},
	}
}

// TestHostileBytes sends bytes that are not a request to a server that reads
// everything at once, and to one that reads a few bytes first. Only requests
// may be reported, and each connection is counted once, under its reason.
func TestHostileBytes(t *testing.T) {
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer func() { _ = l.Close() }()
		address := l.Addr().String()
		trace := harness.StartTrace(t, plan, "--port", harness.Port(t, address))
		want := make(map[string]int)
		for _, first := range []int{8192, 4, 8} {
			for reason, all := range hostile() {
				for _, bytes := range all {
					exchange(t, l, first, bytes)
					want[reason]++
				}
			}
			exchange(t, l, first, protocoltest.Get("/real").UWSGI())
			if first >= 8 { // in fewer bytes the number is not recognised
				exchange(t, l, first, protocoltest.Get("/invented").ModWSGI()[:80])
				want["mod_wsgi_truncated"]++
			}
		}
		records := trace.AwaitRecords(address, 3, waitForLast)
		trace.Finish()
		for _, r := range records {
			assert.True(t, r.Path == "/real" && r.Protocol == "uwsgi" && r.Status == 200, "an invented request: %s", r.Line)
		}
		assert.Equal(t, 3, len(records), "requests")
		assert.Equal(t, want, harness.Unknown(trace.Stderr()), "connections without a request, by reason")
	})
}

// exchange has a client that sends bytes and ends. The server reads the first
// bytes separately, then the rest, responds and closes.
func exchange(t *testing.T, l net.Listener, first int, bytes string) {
	t.Helper()
	client, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer func() { _ = client.Close() }()
	_, err = io.WriteString(client, bytes)
	require.NoError(t, err)
	_ = client.(*net.TCPConn).CloseWrite()
	server, err := l.Accept()
	require.NoError(t, err)
	_ = server.SetDeadline(time.Now().Add(harness.Slow(5 * time.Second)))
	n, _ := server.Read(make([]byte, first))
	for buf := make([]byte, 8192); n < len(bytes); {
		more, err := server.Read(buf)
		require.NoError(t, err)
		n += more
	}
	_, _ = io.WriteString(server, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	_ = server.Close()
	_, _ = io.Copy(io.Discard, client)
}
