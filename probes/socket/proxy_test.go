package socket

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"lapwing/probes/socket/survey"
	"lapwing/probes/socket/wire"
)

// proxies keeps what the records of each path have before their heads.
type proxies map[string]proxied

type proxied struct {
	wire.RecordFields
	name string
}

func (p proxies) HandleRecord(kind wire.Kind, r wire.Record) {
	_, path, _ := strings.Cut(string(r.RequestHead()), " ")
	path, _, _ = strings.Cut(path, " ")
	// The network may still have the connection when the agent ends.
	if (kind != wire.Final && kind != wire.Tentative) || !strings.HasPrefix(path, "/proxied") {
		return
	}
	p[path] = proxied{r.Fields(), string(r.Name())}
}
func (p proxies) HandleEvent(wire.Event) {}
func (p proxies) Tick(time.Time)         {}

// TestProxyHeaders sends headers of balancers before the first of two requests: in one
// piece with it, in a read of their own, and in pieces.
func TestProxyHeaders(t *testing.T) {
	const v2 = "\r\n\r\n\x00\r\nQUIT\n"
	headers := []string{
		"PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\n",
		"PROXY UNKNOWN\r\n",
		v2 + "\x20\x00\x00\x00",
		v2 + "\x21\x11\x00\x0c" + "\xc0\x00\x02\x01\xc0\x00\x02\x02\x04\xd2\x00\x50",
		v2 + "\x21\x11\x01\x0c" + "\xc0\x00\x02\x01\xc0\x00\x02\x02\x04\xd2\x00\x50" + strings.Repeat("t", 256),
	}
	cuts := map[string]func(header, request string) []string{
		"together": func(h, r string) []string { return []string{h + r} },
		"apart":    func(h, r string) []string { return []string{h, r} },
		"pieces":   func(h, r string) []string { return []string{h[:10], h[10:], r} },
		"across":   func(h, r string) []string { return []string{h + r[:10], r[10:]} },
	}
	forEachPlan(t, func(t *testing.T, plan survey.Plan) {
		p := open(t, Options{Plan: plan})
		want := map[string]string{}
		for _, network := range []string{"tcp4", "unix"} {
			l := listen(t, network)
			for i, header := range headers {
				for name, cut := range cuts {
					path := fmt.Sprintf("/proxied/%s/%d/%s", network, i, name)
					line := newLine(t, l)
					server := descriptor(t, line.server)
					require.NoError(t, line.server.Close())
					turn := func(pieces ...string) {
						for _, piece := range pieces {
							_, err := line.client.Write([]byte(piece))
							require.NoError(t, err)
							n, err := unix.Read(server, make([]byte, 4096))
							require.NoError(t, err)
							require.Equal(t, len(piece), n)
						}
						_, err := unix.Write(server, []byte(noBytes))
						require.NoError(t, err)
					}
					turn(cut(header, strings.Replace(ask, "PATH", path, 1))...)
					turn(strings.Replace(ask, "PATH", path+"/next", 1))
					require.NoError(t, unix.Shutdown(server, unix.SHUT_RDWR))
					_ = unix.Close(server)
					want[path], want[path+"/next"] = header, header
				}
			}
		}
		got := proxies{}
		runOut(t, p, got)
		for path, header := range want {
			r, ok := got[path]
			if !assert.True(t, ok, "%s: no record", path) {
				continue
			}
			assert.NotZero(t, r.Arrived, path)
			assert.EqualValues(t, len(ask)-len("PATH")+len(path), r.RequestBytes, "%s: the header is no part of the request", path)
			assert.EqualValues(t, len(noBytes), r.ResponseBytes, path)
			// The kept header shares the room with the socket's name: it is
			// kept completely or not at all.
			if kept := header[:min(len(header), 107)]; strings.HasPrefix(path, "/proxied/tcp4") || r.Marks&wire.MarkProxied != 0 {
				assert.NotZero(t, r.Marks&wire.MarkProxied, path)
				assert.True(t, strings.HasSuffix(r.name, kept), "%s: %q", path, r.name)
			} else {
				assert.Greater(t, len(r.name)+len(kept), 108, path)
			}
		}
		assert.Len(t, got, len(want), "requests")
	})
}
