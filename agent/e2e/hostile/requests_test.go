package hostile

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
	"lapwing/probes/socket/survey"
)

// listeners listens on TCP and on a unix socket.
func listeners(t *testing.T) []net.Listener {
	t.Helper()
	var all []net.Listener
	for network, address := range map[string]string{"tcp": "127.0.0.1:0", "unix": filepath.Join(t.TempDir(), "s")} {
		l, err := net.Listen(network, address)
		require.NoError(t, err)
		t.Cleanup(func() { _ = l.Close() })
		all = append(all, l)
	}
	return all
}

// askAll sends one request per method on one connection.
func askAll(l net.Listener, methods int, method func(i int) string) error {
	c, err := net.Dial(l.Addr().Network(), l.Addr().String())
	if err != nil {
		return err
	}
	defer c.Close()
	answers := bufio.NewReader(c)
	for i := range methods {
		if _, err := fmt.Fprintf(c, "%s /method HTTP/1.1\r\nHost: h\r\n\r\n", method(i)); err != nil {
			return err
		}
		answer, err := http.ReadResponse(answers, nil)
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, answer.Body); err != nil {
			return err
		}
	}
	return nil
}

// TestManyMethods sends 20,000 requests, or 100,000 with LAPWING_SOAK, each
// with a different method, on kept-alive connections. No request was seen when
// any word in capitals was a method. Other clients use the same server
// normally.
func TestManyMethods(t *testing.T) {
	const clients = 4 // on each network
	requests := 2_500
	if os.Getenv("LAPWING_SOAK") != "" {
		requests = 12_500
	}

	// Room for all records, of requests and of calls: this test is not about
	// how fast the agent reads on a busy machine.
	t.Setenv("LAPWING_PROBES_RING_BYTES", "128MiB")
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		var served, odd atomic.Uint64
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			served.Add(1)
			if r.Method != http.MethodGet {
				odd.Add(1)
			}
		})}
		top := harness.StartTop(t, plan, "--exe", harness.Executable(t))
		var asking sync.WaitGroup
		ask := func(l net.Listener, methods int, method func(i int) string) {
			asking.Go(func() { assert.NoError(t, askAll(l, methods, method)) })
		}
		for _, l := range listeners(t) {
			go func() { _ = server.Serve(l) }()
			for client := range clients {
				ask(l, requests, func(i int) string { return fmt.Sprint("M", client*requests+i) })
			}
			ask(l, requests/10, func(int) string { return "GET" })
		}
		asking.Wait()
		require.NoError(t, server.Close())
		totals := top.Finish()
		assert.EqualValues(t, 2*clients*requests, odd.Load())
		assert.Equal(t, served.Load(), totals.Requests())
		assert.Zero(t, harness.Sum(totals.Lost))
	})
}

// half is a conversation that ends before its request is complete.
type half struct {
	before         bool   // a complete request comes first on the connection
	ask, answer    string // without answer, the connection is closed
	request, other bool   // its result: a request, a connection of unknown protocol
}

// play plays the conversation with a listener, as client and as server.
func (h half) play(t *testing.T, l net.Listener) {
	t.Helper()
	client, err := net.Dial(l.Addr().Network(), l.Addr().String())
	require.NoError(t, err)
	server, err := l.Accept()
	require.NoError(t, err)
	passes := func(from, to net.Conn, text string) {
		_, err := io.WriteString(from, text)
		require.NoError(t, err)
		_, err = io.ReadFull(to, make([]byte, len(text)))
		require.NoError(t, err)
	}
	if h.before {
		passes(client, server, "GET /before HTTP/1.1\r\nHost: h\r\n\r\n")
		passes(server, client, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	}
	passes(client, server, h.ask)
	passes(server, client, h.answer)
	require.NoError(t, client.Close())
	require.NoError(t, server.Close())
}

// halves returns the 53 ways to leave a head unfinished, each answered with
// bytes that are not HTTP, on a new connection and on one that was used before.
// Then follow some that are answered as HTTP, and some without an answer.
func halves() (all []half) {
	const head = "GET /a/half HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n"
	for at := 1; at < len(head); at++ {
		all = append(all, half{ask: head[:at], answer: "what?\r\n", other: true}, half{before: true, ask: head[:at], answer: "what?\r\n", other: true})
	}
	for _, ask := range []string{"G", "GET /ha", "GET / HT", "hello", "GET / HTTP/1.1\r\nHost:"} {
		all = append(all,
			half{ask: ask, answer: "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", request: true},
			half{before: true, ask: ask, answer: "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", request: true},
			half{ask: ask, request: ask != "hello", other: ask == "hello"})
	}
	return all
}

// TestHalfHeads counts requests and others. 51 of 53 were counted as requests
// when everything that starts like a request was one.
func TestHalfHeads(t *testing.T) {
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		trace := harness.StartTrace(t, plan, "--exe", harness.Executable(t))
		before, requests, other := 0, 0, 0
		for _, l := range listeners(t) {
			for _, h := range halves() {
				h.play(t, l)
				before += count(h.before)
				requests += count(h.request)
				other += count(h.other)
			}
		}
		var got []string
		for _, r := range trace.Finish() {
			if r.Path == "/before" {
				before--
				continue
			}
			got = append(got, r.Line)
		}
		assert.Zero(t, before, "whole requests that are missing")
		assert.Len(t, got, requests)
		assert.Equal(t, other, harness.Unknown(trace.Stderr())["not_http"])
	})
}

func count(is bool) int {
	if is {
		return 1
	}
	return 0
}
