package pooltest

import (
	"fmt"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
	"lapwing/probes/socket/survey"
)

// forking serves each connection with a process of its own, like inetd and CGI:
// fork, respond, exit.
const forking = `import os, signal, socket, sys, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
host, port = sys.argv[1].split(":")
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind((host, int(port)))
s.listen(64)
while True:
    c, _ = s.accept()
    if os.fork() == 0:
        s.close()
        c.recv(4096)
        time.sleep(0.2)
        c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        c.close()
        os._exit(0)
    c.close()
`

// TestShortLivedWorkers keeps eight clients busy with a server that starts a
// process for each request. Eight processes exist at a time, and forty a second
// start and end.
func TestShortLivedWorkers(t *testing.T) {
	const clients = 8
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		address := harness.FreeAddress(t)
		p := harness.Start(t, exec.Command("python3", "-c", forking, address))
		harness.AwaitListener(t, p, address)
		agent := harness.StartPools(t, plan, "--pid", fmt.Sprint(p.PID()), "--interval", "300ms")
		l := (&server{network: "tcp", address: address}).closed(clients, "/")
		agent.Await(harness.Slow(10*time.Second), "many that came and went", func(p harness.Pool) bool { return p.Exits > 50 })
		l.end()
		agent.Await(harness.Slow(10*time.Second), "none of them left", func(p harness.Pool) bool { return p.Exits > 50 && p.Workers <= 1 })
		agent.Finish()
		most, looks := 0, 0
		for _, o := range agent.Objects() {
			if len(o.Pools) == 1 && o.Pools[0].Exits > 10 {
				most, looks = max(most, o.Pools[0].Workers), looks+1
			}
		}
		require.Greater(t, looks, 3)
		// The parent waits for connections. A child can end between two reads.
		assert.LessOrEqual(t, most, clients+1+2)
	})
}
