package http1

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lapwing/collectors/protocol"
	"lapwing/collectors/request"
	"lapwing/tools/fuzzing"
)

// inside fails the test if view is not a part of b.
func inside(t *testing.T, b, view []byte) {
	t.Helper()
	if len(view) > 0 && !bytes.Equal(view, rootPath) {
		require.LessOrEqual(t, len(view), len(b))
		require.True(t, bytes.Contains(b, view))
	}
}

// same fails the test if a fact from a prefix of the bytes differs from the fact
// from all bytes. A fact that the prefix does not give is nil.
func same(t *testing.T, all, prefix []byte) {
	t.Helper()
	if prefix != nil {
		require.Equal(t, string(all), string(prefix))
	}
}

func FuzzParseRequest(f *testing.F) {
	for _, head := range []string{curlHead, wrkHead, abHead, chromeHead, webSocketHead, nginxProxyHead, uploadHead} {
		f.Add([]byte(head), uint(20))
	}
	f.Fuzz(func(t *testing.T, b []byte, cut uint) {
		var h, p RequestHead
		var all Verdict
		fuzzing.For(len(b)).Within(t, func() { all = ParseRequest(b, &h) })
		require.Equal(t, all == OK, h.HeadLen > 0)
		require.LessOrEqual(t, h.HeadLen, len(b))
		require.GreaterOrEqual(t, h.ContentLength, int64(noLength))
		for _, view := range [][]byte{h.RawMethod, h.Path, h.Query, h.Host, h.UserAgent, h.TraceParent, h.TraceState} {
			inside(t, b, view)
		}
		protocol.ParseTraceParent(b)
		protocol.ParseTraceParent(h.TraceParent)

		// What follows a head does not change it.
		if all == OK {
			require.Equal(t, OK, ParseRequest(b[:h.HeadLen], &p))
			require.Equal(t, h, p)
		}
		prefix := b[:cut%uint(len(b)+1)]
		verdict := ParseRequest(prefix, &p)
		if !all.IsHead() {
			return
		}
		require.True(t, verdict.IsHead(), "a prefix of a head is one")
		if p.Method != "" {
			require.Equal(t, h.Method, p.Method)
		}
		require.True(t, bytes.HasPrefix(h.Path, p.Path))
		require.True(t, bytes.HasPrefix(h.Query, p.Query))
		same(t, h.Host, p.Host)
		same(t, h.UserAgent, p.UserAgent)
		same(t, h.TraceState, p.TraceState)
		if p.HeadLen > 0 {
			require.Equal(t, h.HeadLen, p.HeadLen)
		}
		checkWithNetHTTP(t, b, &h)
	})
}

// checkWithNetHTTP fails the test if the server of the standard library accepts the
// request and parses it differently.
func checkWithNetHTTP(t *testing.T, b []byte, h *RequestHead) {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(b)))
	if err != nil || r.ProtoMajor != 1 || len(r.Method) > protocol.MaxMethodLen {
		return
	}
	require.Positive(t, h.HeadLen)
	require.Equal(t, r.Method, string(h.RawMethod))
	require.Equal(t, len(r.TransferEncoding) > 0, h.Chunked)
	require.Equal(t, !r.Close, h.KeepAlive)
	if r.ContentLength > 0 {
		require.Equal(t, r.ContentLength, h.ContentLength)
	}
	if path, _, _ := strings.Cut(r.RequestURI, "?"); strings.HasPrefix(path, "/") && r.Method != http.MethodConnect {
		require.Equal(t, path, string(h.Path))
	}
}

func FuzzParseResponse(f *testing.F) {
	for _, head := range []string{nginxResponse, gunicornChunked, apacheResponse, uwsgiResponse, wsgirefResponse, switchingResponse} {
		f.Add([]byte(head), uint(20))
	}
	f.Fuzz(func(t *testing.T, b []byte, cut uint) {
		var h, p ResponseHead
		var all Verdict
		fuzzing.For(len(b)).Within(t, func() { all = ParseResponse(b, &h) })
		require.Equal(t, all == OK, h.HeadLen > 0)
		require.LessOrEqual(t, h.HeadLen, len(b))
		require.GreaterOrEqual(t, h.ContentLength, int64(noLength))
		if all == OK {
			require.Equal(t, OK, ParseResponse(b[:h.HeadLen], &p))
			require.Equal(t, h, p)
		}
		verdict := ParseResponse(b[:cut%uint(len(b)+1)], &p)
		if !all.IsHead() {
			return
		}
		require.True(t, verdict.IsHead(), "a prefix of a head is one")
		if p.Status != 0 {
			require.Equal(t, h.Status, p.Status)
			require.Equal(t, h.Minor, p.Minor)
		}
		if p.HeadLen > 0 {
			require.Equal(t, h.HeadLen, p.HeadLen)
		}
	})
}

// fragments are the pieces of a fuzzed connection, besides raw bytes.
var fragments = []string{
	get("/a"), get("/b?c=d"), post("/p", "0123456789"), chunkedPost, chunkedPost + "5\r\nhello\r\n0\r\n\r\n",
	"5\r\nhello\r\n", "0\r\n\r\n", "0\r\nT: x\r\n\r\n", uploadHead, webSocketHead, chromeHead,
	"HEAD /h HTTP/1.0\r\n\r\n", "CONNECT h:1 HTTP/1.1\r\n\r\n", "\r\n", "POST / HTTP/1.1\r\nContent-Length: 1, 2\r\n\r\n",
	response(200, "hello"), response(404, ""), chunkedResponse, chunkedResponse + "3\r\nabc\r\n0\r\n\r\n",
	continueInterim, switchingResponse, uwsgiResponse, "HTTP/1.1 204 X\r\n\r\n", "HTTP/1.0 200 OK\r\n",
	"Content-Length: 3\r\n\r\nabc", "\x16\x03\x01\x02\x00", "\x00\x01", "X: " + string(bytes.Repeat([]byte("y"), 9000)),
}

// player turns fuzzed bytes into the events of a connection.
type player struct {
	input []byte
	now   request.Stamp
}

func (f *player) next() int {
	if len(f.input) == 0 {
		return 0
	}
	b := f.input[0]
	f.input = f.input[1:]
	return int(b)
}

func (f *player) tick() request.Stamp {
	f.now += request.Stamp(1 + f.next())
	return f.now
}

// data returns a part of a fragment, a few raw bytes, or two fragments.
func (f *player) data() []byte {
	n := f.next()
	if n >= 200 {
		raw := f.input[:min(n-200, len(f.input))]
		f.input = f.input[len(raw):]
		return raw
	}
	s := fragments[n%len(fragments)]
	if n >= 100 {
		return []byte(s + fragments[f.next()%len(fragments)])
	}
	from := f.next() * len(s) / 512
	return []byte(s[from : from+(len(s)-from)*(256-f.next())/256])
}

func (f *player) event(kind protocol.EventKind, missing uint64) *protocol.Event {
	ev := &protocol.Event{Kind: kind, Data: f.data(), PID: 1, TID: 2}
	ev.Bytes = uint64(len(ev.Data)) + missing
	ev.Arrived, ev.ArrivedLast = f.tick(), f.tick()
	ev.Enter, ev.Exit = f.tick(), f.tick()
	ev.Wait, ev.Blocked = time.Duration(f.next()), time.Duration(f.next())
	return ev
}

func (f *player) seed(p *Pairer) {
	in, out := f.event(protocol.Read, uint64(f.next())), f.event(protocol.Write, uint64(f.next()))
	r := request.Request{ClientWait: in.Wait}
	r.Arrived, r.ReadFirst, r.ArrivedLast, r.ReadLast = in.Arrived, in.Enter, in.ArrivedLast, in.Exit
	if f.next()%2 == 0 {
		p.Seed(r, in.Data, in.Bytes, nil, 0)
		return
	}
	r.WriteFirst, r.WriteLast, r.Blocked = out.Enter, out.Exit, out.Blocked
	p.Seed(r, in.Data, in.Bytes, out.Data, out.Bytes)
}

func (f *player) play(p *Pairer) {
	for range f.next() % 3 {
		f.seed(p)
	}
	for len(f.input) > 0 {
		switch op := f.next(); op % 8 {
		case 0, 1, 2:
			p.Handle(f.event(protocol.Read, 0))
		case 3, 4, 5:
			p.Handle(f.event(protocol.Write, 0))
		case 6:
			p.Handle(f.event(protocol.EventKind(op/8%2), uint64(f.next()*f.next())))
		case 7:
			p.Expire(f.tick(), time.Duration(f.next()))
		}
	}
	p.Handle(&protocol.Event{Kind: protocol.Close, Exit: f.tick(), Error: []string{"", request.ErrorReset}[f.next()%2]})
}

func FuzzPairer(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x00\x00\x03\x0f\x00\x00"))
	f.Add([]byte("\x00\x00\x64\x01\x00\x03\x73\x10\x00\x00"))
	f.Add([]byte("\x02\x0a\x80\x00\x01\x02\x03\x04\x05\x06\x0f\x00\x80\x01"))
	f.Fuzz(func(t *testing.T, input []byte) {
		const most = 9000 // bytes for which one byte of the input may stand
		fuzzing.For(most*len(input)).Within(t, func() { playConnection(t, input) })
	})
}

func playConnection(t *testing.T, input []byte) {
	var produced uint64
	lastSeq := uint32(2)
	p := newPairer(request.Request{Seq: lastSeq}, func(r *request.Request) {
		produced++
		require.Greater(t, r.Seq, lastSeq, "requests come in order")
		lastSeq = r.Seq
		checkSane(t, r)
	})
	(&player{input: input}).play(p)
	counts := p.Counts()
	require.LessOrEqual(t, produced+counts.Overflowed, p.begins, "no request is invented")
	require.LessOrEqual(t, p.begins, produced+counts.Overflowed+counts.Unpaired, "none is dropped silently")
	require.Zero(t, p.Outstanding())
}

// checkSane checks what must hold for every request, whatever the bytes are.
func checkSane(t *testing.T, r *request.Request) {
	t.Helper()
	bounds := r.Bounds()
	phases, all := r.Phases()
	require.True(t, all || r.Error != "", "a request is measured or failed")
	for i := 1; i < len(bounds); i++ {
		require.True(t, bounds[i] == 0 || bounds[i] >= bounds[i-1])
	}
	if bounds.Known(request.Parse) {
		require.LessOrEqual(t, r.ClientWait, phases[request.Parse])
	}
	if bounds.Known(request.WriteBack) {
		require.LessOrEqual(t, r.Blocked+r.Produce, phases[request.WriteBack])
	}
	require.GreaterOrEqual(t, r.Produce, time.Duration(0))
	m := r.Detail.(*Message)
	require.LessOrEqual(t, len(r.Path)+len(r.Host)+len(m.Query)+len(m.UserAgent), maxKept)
	require.Equal(t, m, m.Clone())
}
