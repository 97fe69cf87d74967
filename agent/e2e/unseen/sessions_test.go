package unseen

import (
	"fmt"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
	"lapwing/probes/socket/survey"
)

// turn is what a client sends, and the answer.
type turn struct{ says, answer string }

// sessions returns sessions of protocols whose lines can look like requests.
// Each is repeated as long as the connection lasts.
func sessions() map[string][]turn {
	return map[string][]turn{
		"redis":      {{"SET key value\r\n", "+OK\r\n"}, {"GET key\r\n", "$5\r\nvalue\r\n"}, {"DEL key\r\n", ":1\r\n"}},
		"redis RESP": {{"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n", "$5\r\nvalue\r\n"}},
		"irc":        {{"NICK me\r\n", ""}, {"JOIN #c\r\n", ":me JOIN #c\r\n"}, {"PRIVMSG #c :GET / HTTP/1.1\r\n", ""}, {"PING h\r\n", ":h PONG h\r\n"}},
		"rtsp":       {{"OPTIONS rtsp://h/a RTSP/1.0\r\nCSeq: 1\r\n\r\n", "RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n"}, {"DESCRIBE rtsp://h/a RTSP/1.0\r\nCSeq: 2\r\n\r\n", "RTSP/1.0 404 Not Found\r\nCSeq: 2\r\n\r\n"}},
		"sip":        {{"OPTIONS sip:a@h SIP/2.0\r\nCSeq: 1\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n"}},
		"mail": {
			{"MAIL FROM:<a@h>\r\n", "250 OK\r\n"}, {"DATA\r\n", "354 go ahead\r\n"}, {"Subject: a request\r\n\r\n", ""},
			{"GET /mail HTTP/1.1\r\nHost: h\r\n\r\n", ""}, {".\r\n", "250 OK\r\n"},
		},
		"mail at once": {
			{"DATA\r\n", "354 go ahead\r\n"}, {"GET /mail HTTP/1.1\r\nHost: h\r\n\r\nPOST /mail HTTP/1.1\r\n\r\n.\r\n", "250 OK\r\n"},
		},
		"numbers": {{"\x00\x00\x00\x08\x01\x02\x03\x04", "\x00\x00\x00\x04\x05\x06\x07\x08"}},
	}
}

// session is a connection of which the test has both ends.
type session struct {
	client, server net.Conn
	turns          []turn
	next           int
}

func newSession(t *testing.T, l net.Listener, turns []turn) *session {
	client, err := net.Dial(l.Addr().Network(), l.Addr().String())
	require.NoError(t, err)
	server, err := l.Accept()
	require.NoError(t, err)
	for _, c := range []net.Conn{client, server} {
		t.Cleanup(func() { _ = c.Close() })
		require.NoError(t, c.SetDeadline(time.Now().Add(harness.Slow(60*time.Second))))
	}
	return &session{client: client, server: server, turns: turns}
}

// goOn plays the next n turns.
func (s *session) goOn(t *testing.T, n int) {
	for range n {
		turn := s.turns[s.next%len(s.turns)]
		s.next++
		pass(t, s.client, s.server, turn.says)
		pass(t, s.server, s.client, turn.answer)
	}
}

func pass(t *testing.T, from, to net.Conn, text string) {
	_, err := io.WriteString(from, text)
	require.NoError(t, err)
	_, err = io.ReadFull(to, make([]byte, len(text)))
	require.NoError(t, err)
}

// TestSessionsOfOtherProtocols has connections that do not speak HTTP. Some are
// older than the agent, which finds them at any of their turns. No request may
// be invented, and each connection must be counted once.
func TestSessionsOfOtherProtocols(t *testing.T) {
	const after = 20
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		var listeners []net.Listener
		for network, address := range map[string]string{"tcp": "127.0.0.1:0", "unix": filepath.Join(t.TempDir(), "s")} {
			l, err := net.Listen(network, address)
			require.NoError(t, err)
			t.Cleanup(func() { _ = l.Close() })
			listeners = append(listeners, l)
		}
		all := map[string][]*session{}
		older := 0
		for _, l := range listeners {
			for name, turns := range sessions() {
				for before := range len(turns) + 1 {
					s := newSession(t, l, turns)
					s.goOn(t, before)
					key := fmt.Sprintf("%s, %s, %d before", l.Addr().Network(), name, before)
					all[key] = append(all[key], s)
					older++
				}
			}
		}
		args := []string{}
		for _, l := range listeners {
			if tcp, ok := l.Addr().(*net.TCPAddr); ok {
				args = append(args, "--port", fmt.Sprint(tcp.Port))
			}
		}
		trace := harness.StartTrace(t, plan, args...)
		for _, l := range listeners {
			for name, turns := range sessions() {
				key := l.Addr().Network() + ", " + name
				all[key] = append(all[key], newSession(t, l, turns))
			}
		}
		count := 0
		for _, sessions := range all {
			for _, s := range sessions {
				s.goOn(t, after)
				require.NoError(t, s.client.Close())
				require.NoError(t, s.server.Close())
				count++
			}
		}
		time.Sleep(time.Second)
		for _, r := range trace.Finish() {
			for _, l := range listeners {
				assert.NotEqual(t, local(l.Addr().String()), r.Local, "an invented request: %s", r.Line)
			}
		}
		t.Logf("%d connections, %d of them older\n%s", count, older, trace.Stderr())
		assert.Equal(t, map[string]int{"not_http": count}, harness.Unknown(trace.Stderr()))
		assert.Contains(t, trace.Stderr(), " 0 lost")
	})
}
