package socket

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/probes/socket/survey"
	"lapwing/probes/socket/wire"
)

// handedOut counts how often each request is handed out, by its head, as user space takes
// it. It keeps what cannot be of one request.
type handedOut struct {
	times map[string]int
	calls map[string]int // calls whose end was handed out
	torn  []string
	other []string // records of another kind
}

func (h *handedOut) HandleRecord(kind wire.Kind, r wire.Record) {
	if kind == wire.Call {
		h.call(r)
		return
	}
	if r.Pid == uint32(os.Getpid()) && kind != wire.Final && kind != wire.Tentative {
		h.other = append(h.other, fmt.Sprintf("kind %d of connection %d request %d error %d", kind, r.Conn, r.Seq, r.Error))
	}
	head := string(r.RequestHead())
	if kind != wire.Final && kind != wire.Tentative || r.Reported == r.Seq {
		return
	}
	var n uint32
	if _, err := fmt.Sscanf(head, "GET /swept/%d ", &n); err != nil {
		return // of another program
	}
	h.times[fmt.Sprint(r.Conn, " ", n)]++
	if r.Seq != n || r.ReadFirst > r.WriteFirst || r.WriteFirst > r.WriteLast || r.Arrived > r.ReadFirst {
		h.torn = append(h.torn, fmt.Sprintf("%d is %q, arrived %d read %d written %d to %d", r.Seq, head, r.Arrived, r.ReadFirst, r.WriteFirst, r.WriteLast))
	}
}

// call takes the other end of a request. It may come before the request's own end.
func (h *handedOut) call(r wire.Record) {
	head := string(r.RequestHead())
	var n uint32
	if _, err := fmt.Sscanf(head, "GET /swept/%d ", &n); err != nil {
		return
	}
	if r.Marks&wire.MarkSoFar == 0 {
		h.calls[fmt.Sprint(r.Conn, " ", n)]++
	}
	if r.Seq != n || r.WriteFirst > r.ReadFirst || r.ReadFirst > r.ReadLast {
		h.torn = append(h.torn, fmt.Sprintf("call %d is %q, written %d read %d to %d", r.Seq, head, r.WriteFirst, r.ReadFirst, r.ReadLast))
	}
}

// missing returns the requests that were not handed out, on connections on which others
// were.
func (h *handedOut) missing(requests int) (all []string) {
	conns := map[string]bool{}
	for request := range h.times {
		conn, _, _ := strings.Cut(request, " ")
		conns[conn] = true
	}
	for conn := range conns {
		for n := range requests {
			if request := fmt.Sprint(conn, " ", n+1); h.times[request] == 0 {
				all = append(all, request)
			}
		}
	}
	return all[:min(len(all), 10)]
}

func (h *handedOut) HandleEvent(wire.Event) {}
func (h *handedOut) Tick(time.Time)         {}

// TestSweepsBesideRequests sweeps all the time, and takes any pause for quiet, while
// connections are in use. Each request is handed out once, and is one request.
func TestSweepsBesideRequests(t *testing.T) {
	const connections, requests = 2, 10_000
	forEachPlan(t, func(t *testing.T, plan survey.Plan) {
		for _, network := range []string{"tcp4", "unix"} {
			p := open(t, Options{Plan: plan})
			require.NoError(t, p.coll.Variables["idle_ns"].Set(uint64(1)))
			ctx, stop := context.WithCancel(t.Context())
			var sweeping, clients sync.WaitGroup
			sweeping.Go(func() {
				for ctx.Err() == nil {
					for _, s := range p.sweeps {
						assert.NoError(t, s.walk())
					}
				}
			})
			got := &handedOut{times: map[string]int{}, calls: map[string]int{}}
			ended := make(chan error, 1)
			go func() { ended <- p.Run(ctx, got) }()
			l := listen(t, network)
			first := newLine(t, l) // from here on the process is a server
			first.ask("/first")
			first.answer("/first")
			for range connections {
				line := newLine(t, l)
				clients.Go(func() { askNumbered(t, line, requests) })
			}
			clients.Wait()
			stop()
			sweeping.Wait()
			require.NoError(t, <-ended)
			assert.Empty(t, got.torn, network)
			assert.Empty(t, got.other, network)
			if !assert.Equal(t, connections*requests, len(got.times), network) {
				t.Log(got.missing(requests))
			}
			stats, err := p.Stats()
			require.NoError(t, err)
			assert.Zero(t, stats.LostRing, network)
			for request, n := range got.times {
				assert.Equal(t, 1, n, "%s: %s", network, request)
			}
			assert.Equal(t, connections*requests, len(got.calls), "%s: calls", network)
			for call, n := range got.calls {
				assert.Equal(t, 1, n, "%s: call %s", network, call)
			}
		}
	})
}

// askNumbered sends one request after the other on a connection, numbered from 1.
func askNumbered(t *testing.T, line *line, requests int) {
	go answerAll(line.server)
	answers := bufio.NewReader(line.client)
	for i := range requests {
		line.ask(fmt.Sprintf("/swept/%d", i+1))
		response, err := http.ReadResponse(answers, nil)
		if !assert.NoError(t, err) {
			return
		}
		_ = response.Body.Close()
	}
}

func answerAll(server net.Conn) {
	for buf := make([]byte, 4096); ; {
		if _, err := server.Read(buf); err != nil {
			return
		}
		if _, err := server.Write([]byte(lineResponse)); err != nil {
			return
		}
	}
}
