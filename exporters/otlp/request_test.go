package otlp

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lapwing/collectors/request"
)

// detail is what an HTTP parser knows of a request.
type detail struct {
	query, userAgent, method string
}

func (d *detail) Clone() request.Detail { c := *d; return &c }

func (d *detail) QueryString() []byte       { return []byte(d.query) }
func (d *detail) UserAgentOriginal() []byte { return []byte(d.userAgent) }
func (d *detail) MethodOriginal() []byte    { return []byte(d.method) }

// sample returns a request that finished a moment ago: 2 ms queue, 1 ms parse,
// 5 ms app, 3 ms write_back.
func sample() *request.Request {
	arrived := request.Now() - request.Stamp(time.Second)
	at := func(ms int) request.Stamp { return arrived + request.Stamp(ms)*request.Stamp(time.Millisecond) }
	return &request.Request{
		Stamps: request.Stamps{
			Established: at(-1), Accepted: at(1), Arrived: arrived,
			ReadFirst: at(2), ArrivedLast: at(2), ReadLast: at(3),
			WriteFirst: at(8), WriteLast: at(11), Acked: at(12),
		},
		Conn: 7, Seq: 1,
		ClientWait: 500 * time.Microsecond, Blocked: time.Millisecond,
		RequestBytes: 120, ResponseBytes: 4096,
		PID: 100, TID: 101, WriterTID: 102, AcceptorTID: 103, Comm: "worker",
		Local:   request.Endpoint{Addr: netip.MustParseAddrPort("127.0.0.1:8080")},
		Peer:    request.Endpoint{Addr: netip.MustParseAddrPort("127.0.0.2:40000")},
		Service: "shop", Protocol: "http/1.1", Method: "GET",
		Path: []byte("/users/42"), Status: 200, Host: []byte("shop.example:8081"),
		Detail: &detail{query: "key=secret", userAgent: "curl/8"},
	}
}

// eventually waits for a condition that other goroutines fulfil.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !condition(); time.Sleep(2 * time.Millisecond) {
		require.False(t, time.Now().After(deadline), "%s did not happen", what)
	}
}
