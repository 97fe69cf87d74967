package stitch

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"

	"lapwing/agent/e2e/harness"
	"lapwing/probes/socket/survey"
)

// queue is a front end that has fewer connections to its back end than
// requests, or makes its calls on other threads than those that read the
// requests.
type queue struct {
	name  string
	start func(t *testing.T, back string) string
	// least is how many of 100 requests must be joined if no two requests are
	// alike.
	least int
}

func queues() []queue {
	return []queue{
		{"Node.js, one connection", node("1", "keep"), 80},
		{"Node.js, two connections, not kept", node("2", "close"), 80},
		{"aiohttp, one connection", aiohttp("1"), 80},
		{"asyncio, a semaphore of one", asyncio("1", "0"), 80},
		{"asyncio, pool of two, waits at every turn", asyncio("2", "0.004"), 80},
		{"HAProxy, one connection", haproxy("maxconn 1"), 80},
		{"HAProxy", haproxy(""), 80},
		{"squid", squid, 80},
		{"varnish", varnish, 80},
		{"Traffic Server", trafficServer, 80},
		{"Caddy", caddy, 80},
		{"Go, two connections", goQueue("2"), 80},
		{"Go", goQueue("0"), 80},
		{"a child for each connection, which calls before it reads", forking, 80},
	}
}

// TestQueues sends bursts of two to five requests. No join may be wrong,
// neither if each request has its own path, nor if all are alike in the part of
// their heads that the agent captures.
func TestQueues(t *testing.T) {
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		trace := harness.StartTrace(t, plan)
		t.Run("all", func(t *testing.T) {
			for _, q := range queues() {
				t.Run(q.name, func(t *testing.T) {
					t.Parallel()
					back := startLogged(t)
					front := q.start(t, back.address)
					for _, alike := range []bool{false, true} {
						asked := burst(t, front, bursts(t), alike)
						got := asked.judge(t, trace, front, back)
						t.Logf("| %s | %s | alike %v | %d | %d | %d | %d |", q.name, plan, alike, got.right, got.wrong, got.unjoined, got.unseen)
						if !assert.True(t, got.wrong == 0 && got.unseen == 0 && (alike || got.right*100 >= q.least*len(asked.all)), "alike %v: %+v", alike, got) {
							t.Log(trace.Stderr())
						}
					}
				})
			}
		})
		trace.Finish()
		t.Log(trace.Stderr())
	})
}

func bursts(t *testing.T) int { return setting(t, "LAPWING_STITCH_BURSTS", 25) }

const nodeFront = `const http = require('http')
const [listen, back, limit, keep] = process.argv.slice(2)
const [host, port] = listen.split(':'), [backHost, backPort] = back.split(':')
const agent = new http.Agent({ keepAlive: keep === 'keep', maxSockets: Number(limit) })
http.createServer((req, res) => {
  const call = http.request({ host: backHost, port: backPort, path: req.url, method: req.method, headers: req.headers, agent }, (answer) => {
    res.writeHead(answer.statusCode, { 'Content-Length': answer.headers['content-length'] })
    answer.pipe(res)
  })
  call.on('error', () => res.destroy())
  req.pipe(call)
}).listen(Number(port), host, 1024)
`

func node(limit, keep string) func(*testing.T, string) string {
	return func(t *testing.T, back string) string {
		return startScript(t, "node", "front.js", nodeFront, back, limit, keep)
	}
}

const aiohttpFront = `import sys
import aiohttp
from aiohttp import web

(host, port), back, limit = sys.argv[1].split(":"), sys.argv[2], int(sys.argv[3])

async def pass_on(request):
    async with request.app["session"].get("http://" + back + str(request.rel_url), headers=request.headers) as answer:
        return web.Response(status=answer.status, body=await answer.read())

async def session(app):
    app["session"] = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=limit))
    yield
    await app["session"].close()

app = web.Application()
app.router.add_get("/{any:.*}", pass_on)
app.cleanup_ctx.append(session)
web.run_app(app, host=host, port=int(port), print=None)
`

// aiohttp starts Debian's aiohttp with Debian's Python.
func aiohttp(limit string) func(*testing.T, string) string {
	return func(t *testing.T, back string) string {
		return startScript(t, "/usr/bin/python3", "front.py", aiohttpFront, back, limit)
	}
}

// queueFront is an event loop with a pool of connections. It can wait before
// and after each call.
const queueFront = `import asyncio, random, sys

(host, port), back, limit, pause = sys.argv[1].split(":"), sys.argv[2].split(":"), int(sys.argv[3]), float(sys.argv[4])
free = asyncio.Queue()

async def turn():
    if pause:
        await asyncio.sleep(random.random() * pause)

async def serve(reader, writer):
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            await turn()
            up = await free.get()
            if up is None:
                up = await asyncio.open_connection(*back)
            up[1].write(head)
            answer = await up[0].readuntil(b"ok\n")
            free.put_nowait(up)
            await turn()
            writer.write(answer)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()

async def main():
    for _ in range(limit):
        free.put_nowait(None)
    server = await asyncio.start_server(serve, host, int(port), backlog=1024)
    await server.serve_forever()

asyncio.run(main())
`

func asyncio(limit, pause string) func(*testing.T, string) string {
	return func(t *testing.T, back string) string {
		return startScript(t, "/usr/bin/python3", "front.py", queueFront, back, limit, pause)
	}
}

// forkingFront has a process for each connection, which connects to the back
// end before it reads anything.
const forkingFront = `import os, signal, socket, sys

(host, port), back = sys.argv[1].split(":"), sys.argv[2].split(":")
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
listener = socket.create_server((host, int(port)), backlog=1024)
while True:
    conn, _ = listener.accept()
    if os.fork():
        conn.close()
        continue
    up = socket.create_connection((back[0], int(back[1])))
    head = conn.recv(8192)
    if head:
        up.sendall(head)
        answer = b""
        while not answer.endswith(b"ok\n"):
            answer += up.recv(8192)
        conn.sendall(answer)
    os._exit(0)
`

func forking(t *testing.T, back string) string {
	return startScript(t, "/usr/bin/python3", "front.py", forkingFront, back)
}

func startScript(t *testing.T, interpreter, name, script string, args ...string) string {
	t.Helper()
	address, path := harness.FreeAddress(t), filepath.Join(harness.OpenDir(t), name)
	write(t, path, script)
	p := harness.Start(t, exec.Command(harness.Installed(t, interpreter), append([]string{path, address}, args...)...))
	await(t, p, address)
	return address
}

func haproxy(server string) func(*testing.T, string) string {
	return func(t *testing.T, back string) string {
		t.Helper()
		address, conf := harness.FreeAddress(t), filepath.Join(harness.OpenDir(t), "haproxy.cfg")
		write(t, conf, fmt.Sprintf(`global
 maxconn 500
defaults
 mode http
 timeout connect 5s
 timeout client 9s
 timeout server 9s
frontend f
 bind %s
 default_backend b
backend b
 server s %s %s
`, address, back, server))
		p := harness.Start(t, exec.Command(harness.Installed(t, "haproxy"), "-db", "-f", conf))
		await(t, p, address)
		return address
	}
}

// goQueue starts this test binary as a proxy with net/http/httputil, in which
// requests change threads at every turn. limit is the number of its
// connections; 0 means no limit.
func goQueue(limit string) func(*testing.T, string) string {
	return func(t *testing.T, back string) string {
		t.Helper()
		address := harness.FreeAddress(t)
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), proxyListen+"="+address, proxyBack+"="+back, proxyLimit+"="+limit)
		await(t, harness.Start(t, cmd), address)
		return address
	}
}
