package framing

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
)

// The stream of a back end has this number of pieces, with a pause after each.
const (
	streamPieces = 3
	streamPause  = 400 * time.Millisecond
)

// proxyScenes are proxies that convert a stream with pauses to chunks.
func proxyScenes() []scene {
	return []scene{
		{name: "nginx in front of a stream", start: startNginxProxy, play: playProxy},
		{name: "Apache in front of a stream", start: startApacheProxy, play: playProxy},
	}
}

const nginxFrame = `daemon off;
master_process off;
pid @DIR@/nginx.pid;
error_log @DIR@/error.log;
events { worker_connections 256; }
http {
	log_format own '$uri $status $request_time $bytes_sent';
	access_log @DIR@/access.log own;
	client_body_temp_path @DIR@/body;
	proxy_temp_path @DIR@/proxy;
	fastcgi_temp_path @DIR@/fastcgi;
	uwsgi_temp_path @DIR@/uwsgi;
	scgi_temp_path @DIR@/scgi;
	`

func startNginxProxy(t *testing.T, dir string) []string {
	address, back := harness.FreeAddress(t), startBackEnd(t)
	conf := write(t, dir, "nginx.conf", nginxFrame+`server {
		listen @ADDRESS@;
		proxy_http_version 1.1;
		location / { proxy_buffering off; proxy_pass http://@BACK@; }
		location /buffered { proxy_pass http://@BACK@; }
	}
}
`, "ADDRESS", address, "BACK", back)
	run(t, dir, "nginx", "-e", "stderr", "-p", dir, "-c", conf)
	return []string{address, back}
}

func startApacheProxy(t *testing.T, dir string) []string {
	address, back := harness.FreeAddress(t), startBackEnd(t)
	const modules = "/usr/lib/apache2/modules/mod_"
	conf := write(t, dir, "apache.conf", `ServerRoot @DIR@
ServerName localhost
PidFile @DIR@/apache.pid
DefaultRuntimeDir @DIR@
Mutex file:@DIR@
Listen @ADDRESS@
User www-data
Group www-data
ErrorLog @DIR@/error.log
LoadModule mpm_event_module `+modules+`mpm_event.so
StartServers 1
ServerLimit 1
ThreadsPerChild 25
MaxRequestWorkers 25
LoadModule authz_core_module `+modules+`authz_core.so
LoadModule proxy_module `+modules+`proxy.so
LoadModule proxy_http_module `+modules+`proxy_http.so
ProxyPass /buffered http://@BACK@/buffered
ProxyPass / http://@BACK@/ flushpackets=on
`, "ADDRESS", address, "BACK", back)
	run(t, dir, "apache2", "-D", "FOREGROUND", "-f", conf)
	return []string{address, back}
}

// pieces are what the back end streams, by the second element of the path.
var pieces = map[string]string{
	"lf":   "data: " + strings.Repeat("x", 200) + "\n\n",
	"crlf": "data: " + strings.Repeat("x", 200) + "\r\n\r\n",
	"last": "rows\r\n0\r\n\r\n",
	"big":  strings.Repeat("y", 40_000),
	"tiny": "x",
}

// startBackEnd starts a server of streams: /FRONT/PIECE/FRAMING/n. The framing
// is close, chunked, or broken for a stream that is cut off.
func startBackEnd(t *testing.T) string {
	t.Helper()
	return serve(t, serveStreams)
}

// serve calls conn for each connection of a new address.
func serve(t *testing.T, conn func(net.Conn)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", harness.FreeAddress(t))
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				conn(c)
			}()
		}
	}()
	return l.Addr().String()
}

func serveStreams(c net.Conn) {
	in := bufio.NewReader(c)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		words := strings.Split(r.URL.Path, "/")
		piece, framing := pieces[words[2]], words[3]
		if framing == "close" {
			_, _ = c.Write([]byte("HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"))
		} else {
			_, _ = c.Write([]byte(streamHead()))
			piece = chunk(piece)
		}
		for range streamPieces {
			_, _ = c.Write([]byte(piece))
			time.Sleep(streamPause)
		}
		if framing != "chunked" {
			return
		}
		_, _ = c.Write([]byte(chunk("end\n") + lastChunk))
	}
}

// playProxy requests all kinds of streams at once, each from a client of its
// own.
func playProxy(t *testing.T, _ string, addresses []string) []fact {
	front, back := addresses[0], addresses[1]
	type result struct {
		path, framing string
		answer
	}
	results := make(chan result)
	n := 0
	for piece := range pieces {
		for _, framing := range []string{"close", "chunked", "broken"} {
			for _, how := range []string{"/direct", "/buffered"} {
				if how == "/buffered" && (piece != "big" || framing != "chunked") {
					continue // nothing is sent before everything has arrived
				}
				n++
				path := unique(fmt.Sprintf("%s/%s/%s", how, piece, framing))
				c := dial(t, front, 0, 0)
				go func() {
					results <- result{path, framing, c.call(t, get(path))}
				}()
			}
		}
	}
	var facts []fact
	for range n {
		r := <-results
		assert.Equal(t, r.framing == "broken", r.err != nil, "%s: the client's body ended with %v", r.path, r.err)
		both := fact{path: r.path, status: 200, least: r.took, most: r.took, failed: r.framing == "broken", part: "produce"}
		if r.framing != "chunked" {
			both.least -= streamPause // the last write is that of the last piece
		}
		hop := both
		hop.local = back
		both.local, both.bytes = front, r.bytes
		facts = append(facts, both, hop)
	}
	return facts
}
