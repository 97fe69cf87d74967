package framing

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"lapwing/agent/e2e/harness"
)

// bigBytes is the size of a response that fits into no buffers on the way. The
// compressed one is smaller, because compressing takes time that the client
// does not cause.
const (
	bigBytes  = 8 << 20
	gzipBytes = 4 << 20
)

// A slow client pauses after this number of bytes.
const (
	slowPer  = 1 << 20
	slowStop = 250 * time.Millisecond
)

// slowScenes are servers whose client is slow.
func slowScenes() []scene {
	return []scene{
		{name: "nginx with gzip to a slow client", start: startNginxGzip, play: playNginxGzip},
		{name: "Node.js to a slow client", start: startNode, play: playSlow("/slow", bigBytes)},
		{name: "Node.js with a late head", start: startNode, play: playNodeHeads},
		{name: "lighttpd to a slow client", start: startLighttpd, play: playSlow("/big.txt", bigBytes)},
		{name: "Twisted to a slow client", start: startTwisted, play: playSlow("/big.txt", bigBytes)},
	}
}

// writeBig writes big.txt of about n bytes.
func writeBig(t *testing.T, dir string, n int) {
	random := make([]byte, n*3/4)
	source := rand.NewChaCha8([32]byte{})
	_, _ = source.Read(random)
	text := base64.StdEncoding.EncodeToString(random)
	var lined strings.Builder
	for len(text) > 76 {
		lined.WriteString(text[:76] + "\n")
		text = text[76:]
	}
	write(t, dir, "big.txt", lined.String()+text)
}

func startNginxGzip(t *testing.T, dir string) []string {
	writeBig(t, dir, gzipBytes)
	address := harness.FreeAddress(t)
	conf := write(t, dir, "nginx.conf", nginxFrame+`gzip on;
	gzip_types *;
	gzip_comp_level 1;
	server { listen @ADDRESS@ sndbuf=64k; root @DIR@; rewrite ^/(big|plain)/ /big.txt; }
}
`, "ADDRESS", address)
	run(t, dir, "nginx", "-e", "stderr", "-p", dir, "-c", conf)
	return []string{address}
}

// playNginxGzip compares the records with nginx's own log, for a chunked
// response and for one with a length.
func playNginxGzip(t *testing.T, dir string, addresses []string) (facts []fact) {
	done := make(chan fact)
	for path, fields := range map[string][]string{"/big": {"Accept-Encoding: gzip"}, "/plain": nil} {
		path, c := unique(path), dial(t, addresses[0], slowPer/2, slowStop)
		go func() {
			a := c.call(t, get(path, fields...))
			done <- fact{local: addresses[0], path: path, status: 200, bytes: a.bytes, check: func(t *testing.T, r harness.Record) {
				// Compressing also takes time on a busy machine.
				blocked, produce := duration(r.Blocked), duration(r.Produce)
				assert.True(t, blocked >= c.stopped*8/10 && produce <= duration(r.WriteBack)-blocked,
					"%s: %s are blocked and %s produce, the client stopped for %s", path, blocked, produce, c.stopped)
			}}
		}()
	}
	for range 2 {
		facts = append(facts, <-done)
	}
	// What the client has not read when nginx has written everything is not
	// part of the duration. nginx logs how long it took.
	for i := range facts {
		facts[i].least = loggedTime(t, dir, facts[i])
		facts[i].most, facts[i].read = facts[i].least, true
	}
	return facts
}

// loggedTime returns $request_time, which nginx logs when it has written
// everything.
func loggedTime(t *testing.T, dir string, f fact) (took time.Duration) {
	t.Helper()
	var status, bytes int
	harness.Eventually(t, 3*time.Second, "a line of "+f.path+" in nginx's log", func() bool {
		log, _ := os.ReadFile(dir + "/access.log")
		for _, line := range strings.Split(string(log), "\n") {
			var uri string
			var seconds float64
			// The URI is the rewritten one, so the line is identified by its
			// bytes.
			if n, _ := fmt.Sscan(line, &uri, &status, &seconds, &bytes); n == 4 && bytes == f.bytes {
				took = time.Duration(seconds * float64(time.Second))
			}
		}
		return took > 0
	})
	assert.Equal(t, 200, status, "%s: status in nginx's log", f.path)
	return took
}

// playSlow has a slow client. What fits into the buffers on the way is written
// before the client has received everything.
func playSlow(path string, size int) func(t *testing.T, _ string, addresses []string) []fact {
	return func(t *testing.T, _ string, addresses []string) []fact {
		asked := unique(path)
		c := dial(t, addresses[0], slowPer, slowStop)
		a := c.call(t, get(asked))
		assert.NoError(t, a.err, "%s: after %d bytes", asked, a.bytes)
		assert.GreaterOrEqual(t, a.bytes, size, "%s: bytes", asked)
		return []fact{{local: addresses[0], path: asked, status: 200, least: a.took / 2, most: a.took, bytes: a.bytes, part: "blocked"}}
	}
}

func startNode(t *testing.T, dir string) []string {
	address := harness.FreeAddress(t)
	script := write(t, dir, "server.js", `
const pause = 400
const kinds = {
	// Node.js puts Transfer-Encoding after all fields that the program sets.
	late: (q, r) => {
		r.setHeader("content-security-policy", "x".repeat(400))
		let n = 0
		const timer = setInterval(() => { r.write("row\r\n"); if (++n == 3) { clearInterval(timer); r.end() } }, pause)
	},
	length: (q, r) => {
		r.setHeader("content-security-policy", "x".repeat(400))
		r.setHeader("content-length", "2000")
		r.write("a".repeat(1000))
		setTimeout(() => r.end("b".repeat(1000)), pause)
	},
	headfirst: (q, r) => {
		r.setHeader("content-security-policy", "x".repeat(8000))
		r.setHeader("content-length", "2000")
		r.flushHeaders()
		setTimeout(() => r.end("b".repeat(2000)), pause)
	},
	// One writev of many segments: all that was written in a turn of the loop.
	slow: (q, r) => { for (let i = 0; i < 128; i++) r.write("z".repeat(65536)); r.end() },
}
require("http").createServer((q, r) => kinds[q.url.split("/")[1]](q, r)).listen(@PORT@, "127.0.0.1")
`, "PORT", harness.Port(t, address))
	run(t, dir, "node", script)
	return []string{address}
}

func playNodeHeads(t *testing.T, _ string, addresses []string) (facts []fact) {
	const paused = 400 * time.Millisecond
	done := make(chan fact)
	for kind, f := range map[string]fact{
		"/late": {part: "produce", least: 3 * paused}, "/length": {part: "produce", least: paused}, "/headfirst": {part: "produce", least: paused},
	} {
		path, c := unique(kind), dial(t, addresses[0], 0, 0)
		go func() {
			a := c.call(t, get(path))
			f.local, f.path, f.status, f.bytes, f.most = addresses[0], path, a.status, a.bytes, a.took
			if kind == "/late" {
				f.part = "" // the head is written with the first row: two of three pauses
				f.check = func(t *testing.T, r harness.Record) {
					assert.GreaterOrEqual(t, duration(r.Produce), 2*paused-little, "%s: produce", path)
				}
			}
			done <- f
		}()
	}
	for range 3 {
		facts = append(facts, <-done)
	}
	return facts
}

func startLighttpd(t *testing.T, dir string) []string {
	writeBig(t, dir, bigBytes)
	address := harness.FreeAddress(t)
	conf := write(t, dir, "lighttpd.conf", `server.document-root = "@DIR@"
server.bind = "127.0.0.1"
server.port = @PORT@
server.errorlog = "@DIR@/error.log"
server.network-backend = "sendfile"
server.modules = ( "mod_rewrite" )
url.rewrite-once = ( "^/big.txt" => "/big.txt" )
`, "PORT", harness.Port(t, address))
	run(t, dir, "lighttpd", "-D", "-f", conf)
	return []string{address}
}

// startTwisted starts a server of one file. Twisted's producer writes it in
// pieces of 64 KiB.
func startTwisted(t *testing.T, dir string) []string {
	writeBig(t, dir, bigBytes)
	address := harness.FreeAddress(t)
	script := write(t, dir, "server.py", `
from twisted.internet import reactor
from twisted.web import resource, server, static

class Root(resource.Resource):
    def getChild(self, name, request):
        request.postpath = []
        return static.File("@DIR@/big.txt")

reactor.listenTCP(@PORT@, server.Site(Root()), interface="127.0.0.1")
reactor.run()
`, "PORT", harness.Port(t, address))
	run(t, dir, python, script)
	return []string{address}
}
