package unseen

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"lapwing/agent/e2e/harness"
	"lapwing/probes/socket/survey"
)

// The network of the test, and the behaviour of the server.
const (
	oneWay    = 25 * time.Millisecond
	roundTrip = 2 * oneWay
	work      = 10 * time.Millisecond
	busy      = 3 * roundTrip // the server does not accept yet
	pause     = 2 * roundTrip // of the client, between head and body
	// slack is what a busy machine may add. It is less than a round trip.
	slack = 20 * time.Millisecond
	// early is how much shorter a wait can be, if a clock starts a little late.
	early = 5 * time.Millisecond
	// delayed is how long a client may delay an acknowledgement.
	delayed = 40 * time.Millisecond
)

// opening is how a client and a server start a connection.
type opening struct {
	name     string
	fast     bool          // the first bytes come with the SYN
	accepted time.Duration // the server accepts this late
	body     bool          // the body follows after a pause
}

func openings() []opening {
	return []opening{
		{name: "plain"},
		{name: "fast", fast: true},
		{name: "fast-accepted-late", fast: true, accepted: busy},
		{name: "fast-with-body", fast: true, body: true},
	}
}

// first and second return the requests on a connection.
func (o opening) first(i int) (head, body string) {
	path := fmt.Sprintf("/%s/%d/first", o.name, i)
	if o.body {
		return "POST " + path + " HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n", "body"
	}
	return "GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n", ""
}

func (o opening) second(i int) string {
	return fmt.Sprintf("GET /%s/%d/second HTTP/1.1\r\nHost: h\r\n\r\n", o.name, i)
}

// TestFastOpen sends requests with the SYN over a network with a round trip of
// 50 ms. Nothing may be lost, and no phase may include a round trip that does
// not belong to it.
func TestFastOpen(t *testing.T) {
	const connections = 5
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		farAway(t, oneWay, func() {
			const fastOpenBoth, everywhere = 3, 0x204 // no cookie needed
			setting := fmt.Sprint(fastOpenBoth | everywhere)
			require.NoError(t, os.WriteFile("/proc/sys/net/ipv4/tcp_fastopen", []byte(setting), 0o644))
			listener, port := listenFast(t)
			trace := harness.StartTrace(t, plan, "--port", fmt.Sprint(port))
			before, want := passive(t), uint64(0)
			for _, o := range openings() {
				for i := range connections {
					o.play(t, listener, port, i)
					if o.fast {
						want++
					}
				}
			}
			assert.Equal(t, want, passive(t)-before, "connections that were opened fast")
			address := fmt.Sprintf("10.77.0.1:%d", port)
			trace.AwaitRecords(address, 2*connections*len(openings()), waitForLast)
			records := trace.Finish()
			assert.Empty(t, harness.Unknown(trace.Stderr()))
			byPath := map[string]harness.Record{}
			for _, r := range records {
				byPath[r.Path] = r
			}
			assert.Len(t, records, 2*connections*len(openings()), trace.Stderr())
			assert.Len(t, byPath, 2*connections*len(openings()))
			for path, r := range byPath {
				assert.Equal(t, 200, r.Status, path)
				judge(t, r)
			}
		})
	})
}

// judge compares the phases of a request with what server, client and network
// did.
func judge(t *testing.T, r harness.Record) {
	t.Helper()
	var queue, parse time.Duration
	if strings.HasSuffix(r.Path, "/first") {
		if strings.Contains(r.Path, "late") {
			queue = busy
		}
		if strings.Contains(r.Path, "body") {
			// The first send returns when the handshake has ended.
			parse = roundTrip + pause
		}
		within(t, r, "backlog", r.Backlog, queue)
	}
	within(t, r, "queue", r.Queue, queue)
	within(t, r, "parse", r.Parse, parse)
	within(t, r, "app", r.App, work)
	within(t, r, "write_back", r.WriteBack, 0)
	if r.Drain != nil {
		drain := time.Duration(*r.Drain)
		assert.True(t, drain >= roundTrip-time.Millisecond && drain <= roundTrip+delayed+harness.Slow(slack),
			"drain is %s, a round trip takes %s: %s", drain, roundTrip, r.Line)
	}
}

func within(t *testing.T, r harness.Record, what string, ns *int64, want time.Duration) {
	t.Helper()
	if ns == nil {
		assert.LessOrEqual(t, want, time.Duration(0), "%s is absent: %s", what, r.Line)
		return
	}
	got := time.Duration(*ns)
	assert.True(t, got >= want-early && got <= want+harness.Slow(slack), "%s is %s, want %s: %s", what, got, want, r.Line)
}

func listenFast(t *testing.T) (fd, port int) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = unix.Close(fd) })
	require.NoError(t, unix.Bind(fd, &unix.SockaddrInet4{Addr: near}))
	require.NoError(t, unix.Listen(fd, 64))
	require.NoError(t, unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_FASTOPEN, 16))
	a, err := unix.Getsockname(fd)
	require.NoError(t, err)
	return fd, a.(*unix.SockaddrInet4).Port
}

// passive returns how many connections of this network were opened with Fast
// Open.
func passive(t *testing.T) uint64 {
	raw, err := os.ReadFile("/proc/thread-self/net/netstat")
	require.NoError(t, err)
	lines := strings.Split(string(raw), "\n")
	names, values := strings.Fields(lines[0]), strings.Fields(lines[1])
	i := slices.Index(names, "TCPFastOpenPassive")
	require.GreaterOrEqual(t, i, 0, "the kernel does not count TCPFastOpenPassive")
	var n uint64
	_, err = fmt.Sscan(values[i], &n)
	require.NoError(t, err)
	return n
}

// play is one connection with two requests.
func (o opening) play(t *testing.T, listener, port, i int) {
	served := make(chan error, 1)
	go func() { served <- o.serve(listener, i) }()
	client, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	require.NoError(t, unix.SetsockoptInt(client, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1))
	to := &unix.SockaddrInet4{Port: port, Addr: far}
	head, body := o.first(i)
	if o.fast {
		require.NoError(t, unix.Sendto(client, []byte(head), unix.MSG_FASTOPEN, to))
	} else {
		require.NoError(t, unix.Connect(client, to))
		require.NoError(t, say(client, head))
	}
	if body != "" {
		time.Sleep(pause)
		require.NoError(t, say(client, body))
	}
	require.NoError(t, hear(client, len(reply)))
	time.Sleep(roundTrip) // the acknowledgement of the server is in transit
	require.NoError(t, say(client, o.second(i)))
	require.NoError(t, hear(client, len(reply)))
	time.Sleep(roundTrip)
	require.NoError(t, unix.Close(client))
	require.NoError(t, <-served)
}

const reply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// serve accepts a connection and answers its two requests.
func (o opening) serve(listener, i int) error {
	if o.accepted > 0 {
		time.Sleep(o.accepted + oneWay)
	}
	c, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(c) }()
	head, body := o.first(i)
	for _, request := range []string{head + body, o.second(i)} {
		if err := hear(c, len(request)); err != nil {
			return err
		}
		time.Sleep(work)
		if err := say(c, reply); err != nil {
			return err
		}
	}
	return hear(c, 1) // its end
}

func say(fd int, text string) error {
	_, err := unix.Write(fd, []byte(text))
	return err
}

// hear reads n bytes, or up to the end.
func hear(fd, n int) error {
	buf := make([]byte, n)
	for n > 0 {
		got, err := unix.Read(fd, buf[:n])
		if err == unix.EINTR {
			continue
		}
		if err != nil || got == 0 {
			return err
		}
		n -= got
	}
	return nil
}
