package modwsgi

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"lapwing/collectors/protocol"
	"lapwing/collectors/protocol/protocoltest"
	"lapwing/collectors/request"
)

const (
	goAhead = "Status: 200 Continue\r\n\r\n"
	answer  = "Status: 503 Busy\r\nContent-Length: 6\r\n\r\nhello\n"
	ending  = "0\r\n\r\n"
)

// vars are variables in the order of mod_wsgi.
func vars(v protocoltest.Vars) string {
	return append(protocoltest.Vars{"GATEWAY_INTERFACE", "CGI/1.1"}, v...).ModWSGI()
}

func TestRequest(t *testing.T) {
	s := protocoltest.New(t, New)
	head := vars(protocoltest.Get("/shop?x=1"))
	s.Read(10, 11, head[:8])
	s.Read(10, 12, head[8:])
	s.Write(12, 12.5, goAhead)
	s.Write(40, 41, answer)
	s.Read(13, 42, ending) // the daemon reads the body after its response
	s.Close(43, request.ErrorClosed)
	assert.Equal(t, []string{"GET /shop 503"}, s.Lines())
	r := s.One()
	protocoltest.Phases(t, r, 1, 1, 28, 1)
	assert.Equal(t, "mod_wsgi", r.Protocol)
	assert.EqualValues(t, len(goAhead)+len(answer), r.ResponseBytes)
}

func TestBodyThatTheApplicationReads(t *testing.T) {
	s := protocoltest.New(t, New)
	head := vars(protocoltest.Post("/upload", 7))
	s.Read(10, 11, head[:8])
	s.Read(10, 12, head[8:])
	s.Write(12, 13, goAhead)
	s.Read(15, 20, "7\r\na=bcdef\r\n")
	s.Write(40, 41, answer)
	s.Read(16, 42, ending)
	s.Close(43, request.ErrorClosed)
	assert.Equal(t, []string{"POST /upload 503"}, s.Lines())
	protocoltest.Phases(t, s.One(), 1, 9, 20, 1)
}

func TestBodyThatTheApplicationDoesNotRead(t *testing.T) {
	s := protocoltest.New(t, New)
	s.Read(10, 12, vars(protocoltest.Post("/upload", 7)))
	s.Write(12, 13, goAhead)
	s.Write(40, 41, answer)
	s.Read(15, 42, "7\r\na=bcdef\r\n"+ending)
	s.Close(43, request.ErrorClosed)
	assert.Equal(t, []string{"POST /upload 503 early_response"}, s.Lines())
}

func TestBadRequests(t *testing.T) {
	good := vars(protocoltest.Get("/"))
	for name, c := range map[string]struct{ bytes, want string }{
		"cut":         {good[:60], "mod_wsgi_truncated"},
		"odd strings": {good[:8] + "\x03" + good[9:], "mod_wsgi_malformed"},
		"no method":   {protocoltest.Vars{"GATEWAY_INTERFACE", "CGI/1.1"}.ModWSGI(), "mod_wsgi_malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			s := protocoltest.New(t, New)
			s.Read(1, 2, c.bytes)
			s.Close(5, "")
			assert.Empty(t, s.Got)
			assert.Equal(t, []string{c.want}, s.Unknown)
		})
	}
}

func TestDetect(t *testing.T) {
	good := vars(protocoltest.Get("/"))
	for bytes, want := range map[string]protocol.Match{
		good: protocol.Yes, good[:8]: protocol.Maybe, good[:18]: protocol.Maybe,
		"\x00\x00\x00\x00\x00\x00\x00\x00": protocol.No, good[:16] + "noise": protocol.No,
	} {
		assert.Equal(t, want, Detect([]byte(bytes)), "%.20q", bytes)
	}
}

func FuzzPairer(f *testing.F) {
	protocoltest.Fuzz(f, New,
		[]string{vars(protocoltest.Get("/a?b=c")), vars(protocoltest.Post("/p", 12)), "c\r\ntwelve bytes\r\n", ending},
		[]string{answer, goAhead, goAhead + answer, "Status: 204 X\r\n\r\n", "\n", "x"})
}
