package pipelining

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
	"lapwing/collectors/assemble"
	"lapwing/collectors/request"
	"lapwing/collectors/service"
	"lapwing/probes/socket"
	"lapwing/probes/socket/survey"
)

const (
	connections = 20
	requests    = 100 // per connection
	ahead       = 5   // the highest number in flight
)

// TestStampsOfPipelinedRequests compares each stamp with the time of the system
// calls that carried the first and last bytes of the request and the response.
func TestStampsOfPipelinedRequests(t *testing.T) {
	for _, plan := range harness.Plans(t) {
		for _, network := range []string{"tcp4", "unix"} {
			t.Run(string(plan)+"/"+network, func(t *testing.T) { run(t, plan, network) })
		}
	}
}

func run(t *testing.T, plan survey.Plan, network string) {
	probe, err := socket.Open(socket.Options{Plan: plan, RingBytes: 64 << 20})
	require.NoError(t, err)
	defer func() { require.NoError(t, probe.Close()) }()
	talks := talk(t, network)

	services, err := service.New(service.Options{})
	require.NoError(t, err)
	seen := map[int]*request.Request{}
	a := assemble.New(assemble.Options{Services: services, Export: func(r *request.Request) {
		if n, err := strconv.Atoi(strings.TrimPrefix(string(r.Path), "/")); err == nil && r.PID == uint32(os.Getpid()) {
			assert.Nil(t, seen[n], "request %d comes twice", n)
			seen[n] = r.Clone()
		}
	}})
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, probe.Run(ended, a))
	a.Flush()

	absent, pipelined := 0, 0
	for i, talk := range talks {
		for n := range requests {
			r := seen[i*requests+n]
			require.NotNil(t, r, "request %d on connection %d is not seen", n, i)
			missing, err := talk.check(n, r)
			require.NoError(t, err, "request %d on connection %d: %+v", n, i, r)
			absent += missing
			if r.Flags&request.Pipelined != 0 {
				pipelined++
			}
		}
	}
	assert.Equal(t, connections*requests, len(seen))
	assert.Less(t, absent, len(seen)/10)
	t.Logf("%d requests, %d of them pipelined, %d stamps are absent", len(seen), pipelined, absent)
}

// talk runs the clients and servers, three at a time.
func talk(t *testing.T, network string) []*conversation {
	address := map[string]string{"tcp4": "127.0.0.1:0", "unix": filepath.Join(t.TempDir(), "s")}
	listener, err := net.Listen(network, address[network])
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	var talks []*conversation
	var all sync.WaitGroup
	slots := make(chan struct{}, 3)
	for i := range connections {
		c := newConversation(t, listener, i*requests)
		talks = append(talks, c)
		slots <- struct{}{}
		all.Go(func() {
			assert.NoError(t, c.run())
			<-slots
		})
	}
	all.Wait()
	return talks
}

// texts returns the requests and responses of a connection.
func texts(rng *rand.Rand, first int) (asks, answers []string) {
	for i := range requests {
		body := strings.Repeat("b", rng.IntN(2)*rng.IntN(600))
		asks = append(asks, fmt.Sprintf("POST /%d HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n%s", first+i, len(body), body))
		body = strings.Repeat("a", rng.IntN(2)*rng.IntN(3000))
		answers = append(answers, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
	}
	return asks, answers
}
