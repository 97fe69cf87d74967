package uwsgi

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"lapwing/collectors/protocol"
	"lapwing/collectors/protocol/gateway"
	"lapwing/collectors/protocol/protocoltest"
	"lapwing/collectors/request"
)

const answer = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n"

func TestRequestInOneRead(t *testing.T) {
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	s := protocoltest.New(t, New)
	packet := protocoltest.Get("/shop/cart?id=7").With("HTTP_TRACEPARENT", parent).UWSGI()
	s.Read(10, 12, packet)
	s.Write(20, 21, answer)
	s.Close(22, request.ErrorClosed)
	r := s.One()
	assert.Equal(t, []string{"GET /shop/cart 200"}, s.Lines())
	protocoltest.Phases(t, r, 2, 0, 8, 1)
	assert.Equal(t, "uwsgi", r.Protocol)
	assert.Equal(t, "shop.test:8080", string(r.Host))
	assert.EqualValues(t, 5, r.Seq)
	assert.EqualValues(t, len(packet), r.RequestBytes)
	assert.EqualValues(t, len(answer), r.ResponseBytes)
	assert.EqualValues(t, 101, r.TID)
	m := r.Detail.(*gateway.Message)
	assert.Equal(t, "id=7", string(m.Query))
	assert.Equal(t, "curl/7.88.1", string(m.UserAgent))
	assert.Equal(t, parent, string(m.TraceParent))
	assert.Equal(t, protocol.Counts{}, s.Counts())
}

func TestBodyEndsParse(t *testing.T) {
	s := protocoltest.New(t, New)
	packet := protocoltest.Post("/upload", 10000).UWSGI()
	s.Read(1, 2, packet[:4])
	s.Read(1, 3, packet[4:]+"begin of the body")
	s.ReadHidden(5, 6, "more", 10000-17-4)
	s.Write(8, 9, answer)
	s.Close(10, "")
	protocoltest.Phases(t, s.One(), 1, 4, 2, 1)
	assert.Empty(t, s.One().Flags)
}

func TestResponseBeforeTheBodyIsEarly(t *testing.T) {
	s := protocoltest.New(t, New)
	s.Read(1, 2, protocoltest.Post("/upload", 100).UWSGI()+"not all")
	s.Write(5, 6, "HTTP/1.1 413 Too Large\r\n\r\n")
	s.Read(3, 8, "the rest")
	s.Close(10, "")
	assert.Equal(t, []string{"POST /upload 413 early_response"}, s.Lines())
	protocoltest.Phases(t, s.One(), 1, 3, 0, 1)
}

func TestHeadInPiecesAndStreamedBody(t *testing.T) {
	s := protocoltest.New(t, New)
	s.Read(1, 2, protocoltest.Get("/").UWSGI())
	s.Write(3, 4, "HTTP/1.1 404 Not")
	s.Write(4, 5, " Found\r\nServer: x\r")
	s.Write(5, 6, "\n\r\nbody")
	s.WriteHidden(16, 17, "", 1<<20)
	s.Close(18, request.ErrorClosed)
	assert.Equal(t, []string{"GET / 404 streamed"}, s.Lines())
	protocoltest.Phases(t, s.One(), 1, 0, 1, 14)
	assert.EqualValues(t, protocoltest.MS(10), s.One().Produce)
}

func TestHugeVariableThatIsNotAtHand(t *testing.T) {
	s := protocoltest.New(t, New)
	cookie := make([]byte, 20000)
	vars := protocoltest.Get("/a").With("HTTP_COOKIE", string(cookie)).With("HTTP_TRACESTATE", "x=1")
	packet := vars.UWSGI()
	s.ReadHidden(1, 2, packet[:8192], 2000)
	s.Read(1, 3, packet[10192:])
	s.Write(4, 5, answer)
	s.Close(6, "")
	assert.Equal(t, []string{"GET /a 200"}, s.Lines())
	assert.Equal(t, "x=1", string(s.One().Detail.(*gateway.Message).TraceState))
	assert.Equal(t, protocol.Counts{}, s.Counts())
}

func TestUpgradeBecomesATunnel(t *testing.T) {
	s := protocoltest.New(t, New)
	s.Read(1, 2, protocoltest.Get("/ws").UWSGI())
	s.Write(3, 4, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
	assert.True(t, s.Tunnel())
	s.Read(8, 9, "frames")
	s.Close(10, "")
	assert.Equal(t, []string{"GET /ws 101 upgraded"}, s.Lines())
}

func TestNoCompleteResponse(t *testing.T) {
	for name, c := range map[string]struct {
		write, cause, want string
	}{
		"none":       {"", request.ErrorClosed, "GET / 0 connection_closed"},
		"cut":        {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx", request.ErrorClosed, "GET / 200 connection_closed"},
		"reset":      {"HTTP/1.1 200 OK\r\n\r\nx", request.ErrorReset, "GET / 200 connection_reset"},
		"to the end": {"HTTP/1.1 200 OK\r\n\r\nx", request.ErrorClosed, "GET / 200"},
	} {
		t.Run(name, func(t *testing.T) {
			s := protocoltest.New(t, New)
			s.Read(1, 2, protocoltest.Get("/").UWSGI())
			if c.write != "" {
				s.Write(3, 4, c.write)
			}
			s.Close(5, c.cause)
			assert.Equal(t, []string{c.want}, s.Lines())
		})
	}
}

func TestBadPackets(t *testing.T) {
	good := protocoltest.Get("/").UWSGI()
	for name, c := range map[string]struct{ bytes, want string }{
		"cut":             {good[:40], "uwsgi_truncated"},
		"length too long": {"\x00\xff\xff\x00" + good[4:], "uwsgi_truncated"},
		"name too long":   {"\x00\x10\x00\x00\x60\x00REQUEST_METHOD", "uwsgi_malformed"},
		"no method":       {protocoltest.Vars{"HTTP_HOST", "h"}.UWSGI(), "uwsgi_malformed"},
		"no variables":    {"\x00\x00\x00\x00", "uwsgi_malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			s := protocoltest.New(t, New)
			s.Read(1, 2, c.bytes)
			s.Write(3, 4, answer)
			s.Close(5, "")
			assert.Empty(t, s.Got)
			assert.Equal(t, []string{c.want}, s.Unknown)
		})
	}
}

func TestLostEventsLoseTheRequest(t *testing.T) {
	s := protocoltest.New(t, New)
	s.Read(1, 2, protocoltest.Get("/").UWSGI())
	s.Lose()
	s.Write(3, 4, answer)
	s.Close(5, "")
	assert.Empty(t, s.Got)
	assert.Empty(t, s.Unknown)
	assert.Equal(t, protocol.Counts{Desynced: 1, Unpaired: 1}, s.Counts())
}

func TestDetect(t *testing.T) {
	good := protocoltest.Get("/").UWSGI()
	for bytes, want := range map[string]protocol.Match{
		good: protocol.Yes, good[:4]: protocol.Maybe, good[:1]: protocol.Maybe, "\x05" + good[1:]: protocol.Yes,
		"\x00\x00\x01\xacREQUEST_URI\x00": protocol.No, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03": protocol.No,
		"GET / HTTP/1.1\r\n": protocol.No, "\x00\x40\x00\x00\x03\x00a.b": protocol.No,
	} {
		assert.Equal(t, want, Detect([]byte(bytes)), "%.20q", bytes)
	}
}

func FuzzPairer(f *testing.F) {
	protocoltest.Fuzz(f, New,
		[]string{protocoltest.Get("/a?b=c").UWSGI(), protocoltest.Post("/p", 12).UWSGI() + "twelve bytes", "\x00\x10\x00\x00", "body"},
		[]string{answer, "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 101 X\r\n\r\n", "HTTP/1.0 500 X\r\n", "\r\n", "\n\n", "x"})
}

func TestPathParametersAreCut(t *testing.T) {
	s := protocoltest.New(t, New)
	s.Read(10, 12, protocoltest.Get("/shop;v=1/cart;jsessionid=1A2B?id=7").UWSGI())
	s.Write(20, 21, answer)
	s.Close(22, request.ErrorClosed)
	assert.Equal(t, []string{"GET /shop/cart 200"}, s.Lines())
}
