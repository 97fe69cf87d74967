package socket

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/probes/socket/survey"
	"lapwing/probes/socket/wire"
)

// passes writes the pieces of a message at one end, and reads each at the other end
// before it writes the next.
func passes(t *testing.T, from io.Writer, to io.Reader, pieces ...string) {
	for _, piece := range pieces {
		if piece == "" {
			continue
		}
		_, err := io.WriteString(from, piece)
		require.NoError(t, err)
		_, err = io.ReadFull(to, make([]byte, len(piece)))
		require.NoError(t, err)
	}
}

func (l *line) close() {
	require.NoError(l.t, l.client.Close())
	require.NoError(l.t, l.server.Close())
}

// played is what is reported of the connections of one listener: requests, connections of
// no known protocol, those that user space frames, and what the client's end asked, which
// is in a server process.
type played struct {
	listener                         net.Listener
	asked                            int
	requests, unknown, opened, calls []seenRequest
}

// counts checks how many of each there are.
func (x *played) counts(t *testing.T, requests, unknown, opened int, what string) {
	assert.Equal(t, [3]int{requests, unknown, opened}, [3]int{len(x.requests), len(x.unknown), len(x.opened)},
		"requests, unknown and opened connections: %.40q", what)
}

// address returns the address of a listener as in the records of its connections.
func address(l net.Listener) string {
	if tcp, ok := l.Addr().(*net.TCPAddr); ok {
		return fmt.Sprint(tcp.Port)
	}
	return l.Addr().String()
}

// sessions are a probe and the listeners whose connections it sees.
type sessions struct {
	t       *testing.T
	network string // of the next ones
	played  map[string]*played
}

// play opens connections to a listener of their own.
func (s *sessions) play(connections func(newLine func() *line)) *played {
	x := &played{listener: listen(s.t, s.network)}
	s.played[address(x.listener)] = x
	connections(func() *line {
		x.asked++
		return newLine(s.t, x.listener)
	})
	return x
}

func (s *sessions) HandleRecord(kind wire.Kind, r wire.Record) {
	at := fmt.Sprint(r.LocalPort)
	switch {
	case r.IsUnix():
		at, _, _ = strings.Cut(string(r.Name()), "\x00")
	case kind == wire.Call:
		at = fmt.Sprint(r.PeerPort)
	}
	x := s.played[at]
	if x == nil {
		return
	}
	seen := seenRequest{RecordFields: r.Fields(), kind: kind, head: string(r.RequestHead())}
	switch kind {
	case wire.Final:
		x.requests = append(x.requests, seen)
	case wire.Unknown:
		x.unknown = append(x.unknown, seen)
	case wire.Opened:
		x.opened = append(x.opened, seen)
	case wire.Call:
		x.calls = append(x.calls, seen)
	}
}
func (s *sessions) HandleEvent(wire.Event) {}
func (s *sessions) Tick(time.Time)         {}

// tokens returns methods: any token is one, of any length.
func tokens() []string {
	return []string{
		"get", "Get", "M1", "x", "7", "2024-M", "!#$%&'*+-.^_`|~", "PROPFIND", "VERSION-CONTROL",
		strings.Repeat("M", 32), strings.Repeat("M", 33), strings.Repeat("m", 200), strings.Repeat("m", 300), strings.Repeat("M", 9000),
	}
}

func tokenHead(method, path string) string {
	return method + " " + path + " HTTP/1.1\r\nHost: h\r\n\r\n"
}

// TestWhatARequestIs plays sessions, each kind on both networks, and checks what is
// reported of them. Loading the programs takes longer than all of the sessions.
func TestWhatARequestIs(t *testing.T) {
	kinds := map[string]func(*sessions) func(*testing.T){
		"any token is a method":    methodsAreTokens,
		"the line is cut":          lineIsCut,
		"half a head":              halfHeads,
		"a length of SCGI is cut":  lengthOfSCGI,
		"calls are told by theirs": callsByLine,
	}
	forEachPlan(t, func(t *testing.T, plan survey.Plan) {
		s := &sessions{t: t, played: make(map[string]*played)}
		older := make(map[string]func() func(*testing.T))
		for _, s.network = range []string{"tcp", "unix"} {
			older[s.network+"/connections older than the agent"] = olderConnections(s)
		}
		p := open(t, Options{Plan: plan, RingBytes: 64 << 20})
		checks := make(map[string]func(*testing.T))
		for name, play := range older {
			checks[name] = play()
		}
		for _, s.network = range []string{"tcp", "unix"} {
			for name, play := range kinds {
				checks[s.network+"/"+name] = play(s)
			}
		}
		runOut(t, p, s)
		for name, check := range checks {
			t.Run(name, check)
		}
	})
}

// methodsAreTokens plays methods that come first on their connection, and methods that
// come after others.
func methodsAreTokens(s *sessions) func(*testing.T) {
	var heads []string
	for _, method := range tokens() {
		heads = append(heads, tokenHead(method, "/"), tokenHead(method, "/"+strings.Repeat("p", 4000)))
	}
	heads = append(heads, tokenHead("M1", "/"+strings.Repeat("p", 8000)), tokenHead("m", "/"+strings.Repeat("p", 15000)))
	got := s.play(func(newLine func() *line) {
		for _, head := range heads {
			c := newLine()
			for range 2 {
				passes(s.t, c.client, c.server, head)
				passes(s.t, c.server, c.client, lineResponse)
			}
			c.close()
		}
	})
	return func(t *testing.T) {
		got.counts(t, 2*len(heads), 0, 0, "tokens")
		for _, r := range got.requests {
			assert.Equal(t, wire.EndSeen, wire.EndOf(r.In.Place), "%.40q", r.head)
			assert.EqualValues(t, 200, r.Out.Status)
		}
	}
}

// lineIsCut cuts request lines. A request is recognized wherever its line is cut. What is
// not a request is counted once, however long its session goes on.
func lineIsCut(s *sessions) func(*testing.T) {
	long := strings.Repeat("p", 300)
	requests := []string{
		"GET /a HTTP/1.1\r\n", "M1 /a HTTP/1.0\r\n", "get /a HTTP/1.1\n", "a / HTTP/1.1\r\n", "M1 /" + long + " HTTP/1.1\r\n", digits + " /a HTTP/1.1\r\n",
	}
	others := []string{
		"SET key value\r\n", "set key 0 60 5\r\n", "NICK someone\r\n", "ehlo client\r\n", "hello world\n", "SSH-2.0-OpenSSH_9.2p1\r\n",
		"INVITE sip:a@h SIP/2.0\r\n", "INVITE sip:" + long + " SIP/2.0\r\n", "M1 /" + long + " HTTP/2.0\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"GET /a\r\n", "GET /" + long + "\r\n", "GET /aHTTP/1.1\r\n", "GET /" + long + "HTTP/1.1\r\n", "\x16\x03\x01\x02\x00\x01",
	}
	all := make(map[string]*played)
	for _, text := range requests {
		all[text] = s.cut(text, func(c *line) {
			passes(s.t, c.client, c.server, "Host: h\r\n", "\r\n")
			passes(s.t, c.server, c.client, lineResponse)
		})
	}
	for _, text := range others {
		all[text] = s.cut(text, func(c *line) {
			passes(s.t, c.server, c.client, "+OK\r\n")
			passes(s.t, c.client, c.server, text)
			passes(s.t, c.server, c.client, "+OK\r\n")
		})
	}
	return func(t *testing.T) {
		for _, text := range requests {
			opened := 0
			if strings.HasPrefix(text, digits) {
				// it can be a length that SCGI starts with: user space decides
				opened = len(digits) - 1
			}
			all[text].counts(t, all[text].asked-opened, 0, opened, text)
		}
		for _, text := range others {
			all[text].counts(t, 0, all[text].asked, 0, text)
			for _, u := range all[text].unknown {
				assert.True(t, strings.HasPrefix(text, u.head), "what tells the protocol of %.40q is its beginning: %q", text, u.head)
			}
		}
	}
}

const digits = "12345678"

// cut plays a connection for each way to cut a text in two. For a long text it leaves
// some out.
func (s *sessions) cut(text string, then func(*line)) *played {
	return s.play(func(newLine func() *line) {
		for at := 1; at < len(text); at++ {
			if at > 12 && at < len(text)-12 && at%32 != 0 {
				continue
			}
			c := newLine()
			passes(s.t, c.client, c.server, text[:at], text[at:])
			then(c)
			c.close()
		}
	})
}

// lengthOfSCGI plays a length, which also starts with digits and is read by itself.
func lengthOfSCGI(s *sessions) func(*testing.T) {
	got := s.cut("123:CONTENT_LENGTH\x000\x00", func(c *line) { passes(s.t, c.server, c.client, lineResponse) })
	return func(t *testing.T) { got.counts(t, 0, 0, got.asked, "SCGI") }
}

// halfHeads plays incomplete heads. They are requests if they are answered like requests.
func halfHeads(s *sessions) func(*testing.T) {
	const head = "GET /half HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n"

	answered := func(step int, answer ...string) *played {
		return s.play(func(newLine func() *line) {
			for at := 1; at < len(head); at += step {
				c := newLine()
				passes(s.t, c.client, c.server, head[:at])
				passes(s.t, c.server, c.client, answer...)
				c.close()
			}
		})
	}
	http := []*played{answered(1, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"), answered(5, "HTTP/1.0 408 Too Late\r\n\r\n")}
	others := []*played{
		answered(1, "what?\r\n"), answered(5, "\x15\x03\x01\x00\x02"), answered(5, "H", "e", "llo\r\n"),
		answered(5, "HTTP/", "2 200\r\n"), answered(5, "HTTP/1.1 no\r\n"), answered(5, "HTTP/1.1", " no\r\n"),
	}
	return func(t *testing.T) {
		for i, got := range http {
			got.counts(t, got.asked, 0, 0, fmt.Sprint("answered as HTTP, ", i))
		}
		for i, got := range others {
			got.counts(t, 0, got.asked, 0, fmt.Sprint("answered otherwise, ", i))
		}
	}
}

// callsByLine plays calls: what a server sends to others is HTTP by the same rule.
func callsByLine(s *sessions) func(*testing.T) {
	asked := map[string]bool{
		"M1 /call HTTP/1.1\r\nHost: h\r\n\r\n": true, "lower /call HTTP/1.1\r\n\r\n": true,
		"get key\r\n": false, "set key 0 60 5\r\nvalue\r\n": false, "stats": false, "HELLO": false, "SET a b\r\n": false,
	}
	serves := newLine(s.t, listen(s.t, s.network))
	serves.ask("/serves") // only a server makes calls
	serves.answer("/serves")
	all := make(map[string]*played)
	for text, isHTTP := range asked {
		answer := "VALUE key\r\n"
		if isHTTP {
			answer = lineResponse
		}
		all[text] = s.play(func(newLine func() *line) {
			for _, at := range []int{0, 2} {
				c := newLine()
				for range 3 {
					passes(s.t, c.client, c.server, text[:at], text[at:])
					passes(s.t, c.server, c.client, answer)
				}
				c.close()
			}
		})
	}
	return func(t *testing.T) {
		for text, isHTTP := range asked {
			assert.Len(t, all[text].calls, 6, "%q", text)
			for _, r := range all[text].calls {
				assert.Equal(t, text, r.head)
				assert.Equal(t, isHTTP, r.Out.Status == 200, "%q", text)
			}
		}
	}
}

// olderConnections can be anywhere when the agent starts, also in a body that starts with
// words. It returns what is done after the agent has started.
func olderConnections(s *sessions) func() func(*testing.T) {
	const rest = "words of a body, and more of them"

	var odd, upload *line
	got := s.play(func(newLine func() *line) { odd, upload = newLine(), newLine() })
	return func() func(*testing.T) {
		for range 2 {
			passes(s.t, odd.client, odd.server, tokenHead("m1", "/older"))
			passes(s.t, odd.server, odd.client, lineResponse)
		}
		passes(s.t, upload.client, upload.server, rest, "\r\n", rest+"\r\n")
		passes(s.t, upload.server, upload.client, lineResponse)
		passes(s.t, upload.client, upload.server, tokenHead("GET", "/older"))
		passes(s.t, upload.server, upload.client, lineResponse)
		odd.close()
		upload.close()
		return func(t *testing.T) {
			got.counts(t, 3, 0, 0, "older")
			for _, r := range got.requests {
				assert.Contains(t, r.head, "/older")
			}
		}
	}
}
