package stitch

import (
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"lapwing/agent/e2e/harness"
)

// retrying is an nginx that tries two servers that fail, each in a different
// way, before the one that answers. Their order changes.
func retrying(good, bad, dead string) string {
	return fmt.Sprintf(`upstream back { server %s max_fails=0; server %s max_fails=0; server %s max_fails=0; }
	server { listen LISTEN backlog=1024; location / {
		proxy_pass http://back; proxy_next_upstream error timeout http_502; proxy_next_upstream_tries 0; } }`, bad, dead, good)
}

// asking is an nginx that calls another server before it passes a request on.
func asking(back, gate string) string {
	return fmt.Sprintf(`server { listen LISTEN backlog=1024;
		location / { auth_request /gate; proxy_pass http://%s; }
		location = /gate { internal; proxy_pass http://%s; } }`, back, gate)
}

// patientFront is an event loop that waits between the request and its call, so
// that others come in between.
const patientFront = `import asyncio, random, sys

listen, back = sys.argv[1].split(":"), sys.argv[2].split(":")

async def serve(reader, writer):
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(random.random() / 100)
            up_reader, up_writer = await asyncio.open_connection(back[0], int(back[1]))
            line = head.split(b"\r\n")[0]
            up_writer.write(line.replace(b"1.1", b"1.0") + b"\r\nHost: back\r\n\r\n")
            answer = await up_reader.read()
            up_writer.close()
            await asyncio.sleep(random.random() / 100)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n")
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()

async def main():
    server = await asyncio.start_server(serve, listen[0], int(listen[1]), backlog=1024)
    await server.serve_forever()

asyncio.run(main())
`

func startAsyncio(t *testing.T, back string) string {
	t.Helper()
	dir, address := harness.OpenDir(t), harness.FreeAddress(t)
	script := filepath.Join(dir, "front.py")
	write(t, script, patientFront)
	await(t, harness.Start(t, exec.Command(harness.Installed(t, "python3"), script, address, back)), address)
	return address
}

const (
	proxyListen = "LAPWING_STITCH_PROXY_LISTEN"
	proxyBack   = "LAPWING_STITCH_PROXY_BACK"
	proxyLimit  = "LAPWING_STITCH_PROXY_LIMIT"
)

// goProxy is the process that goQueue starts.
func goProxy() {
	address := os.Getenv(proxyListen)
	if address == "" {
		return
	}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: os.Getenv(proxyBack)})
	if limit, err := strconv.Atoi(os.Getenv(proxyLimit)); err == nil {
		proxy.Transport = &http.Transport{MaxConnsPerHost: limit}
	}
	fmt.Fprintln(os.Stderr, http.ListenAndServe(address, proxy))
	os.Exit(1)
}
