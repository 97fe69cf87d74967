package scgi

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"lapwing/collectors/protocol"
	"lapwing/collectors/protocol/protocoltest"
	"lapwing/collectors/request"
)

const answer = "Status: 404 Not Found\r\nContent-Type: text/plain\r\n\r\nno\n"

func TestRequest(t *testing.T) {
	s := protocoltest.New(t, New)
	head := protocoltest.Post("/shop?x=1", 5).SCGI()
	s.Read(10, 12, head+"abc")
	s.Read(14, 15, "de")
	s.Write(20, 21, answer)
	s.Close(22, request.ErrorClosed)
	assert.Equal(t, []string{"POST /shop 404"}, s.Lines())
	r := s.One()
	protocoltest.Phases(t, r, 2, 3, 5, 1)
	assert.Equal(t, "scgi", r.Protocol)
	assert.EqualValues(t, len(head)+5, r.RequestBytes)
}

// Some servers read the length byte by byte.
func TestRequestByteByByte(t *testing.T) {
	s := protocoltest.New(t, New)
	for i, c := range []byte(protocoltest.Get("/slow").SCGI()) {
		s.Read(1, 2+float64(i), string(c))
	}
	s.Write(2000, 2001, "Content-Type: text/plain\n\nok")
	s.Close(2002, "")
	assert.Equal(t, []string{"GET /slow 200"}, s.Lines())
}

func TestStatusOfTheResponse(t *testing.T) {
	for head, want := range map[string]string{
		"Content-Type: text/plain\r\n\r\n":          "GET / 200",
		"status:503\r\n\r\n":                        "GET / 503",
		"Location: https://elsewhere/\r\n\r\n":      "GET / 302",
		"Status: 301 Moved\nLocation: /there\n\nx":  "GET / 301",
		"HTTP/1.1 204 No Content\r\n\r\n":           "GET / 204",
		"Status: 20\r\n\r\n":                        "GET / 200",
		"nothing of the kind":                       "GET / 0 head_cut connection_closed",
		"Status: 200 OK\r\nContent-Type: text/html": "GET / 200 head_cut connection_closed",
	} {
		s := protocoltest.New(t, New)
		s.Read(1, 2, protocoltest.Get("/").SCGI())
		s.Write(3, 4, head)
		s.Close(5, request.ErrorClosed)
		assert.Equal(t, []string{want}, s.Lines(), "%q", head)
	}
}

func TestVariablesThatAreNotAtHand(t *testing.T) {
	s := protocoltest.New(t, New)
	head := protocoltest.Get("/a").With("HTTP_COOKIE", string(make([]byte, 9000))).SCGI()
	s.ReadHidden(1, 2, head[:8192], uint64(len(head)-8192))
	s.Write(4, 5, answer)
	s.Close(6, "")
	assert.Equal(t, []string{"GET /a 404 head_cut"}, s.Lines())
	assert.EqualValues(t, 1, s.Counts().HeadsCut)
}

func TestBadRequests(t *testing.T) {
	good := protocoltest.Get("/").SCGI()
	for name, c := range map[string]struct{ bytes, want string }{
		"cut":              {good[:40], "scgi_truncated"},
		"length too long":  {"9" + good, "scgi_truncated"},
		"length too short": {"42" + good[3:], "scgi_malformed"},
		"no comma":         {good[:len(good)-1] + "x", "scgi_malformed"},
		"no number":        {"99999999999:", "scgi_malformed"},
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
	good := protocoltest.Get("/").SCGI()
	for bytes, want := range map[string]protocol.Match{
		good: protocol.Yes, good[:1]: protocol.Maybe, good[:10]: protocol.Maybe, "70:content_length": protocol.No,
		"220 ftp.test ready\r\n": protocol.No, "0:": protocol.No, "12:xy": protocol.No, ":": protocol.No,
	} {
		assert.Equal(t, want, Detect([]byte(bytes)), "%.20q", bytes)
	}
}

func FuzzPairer(f *testing.F) {
	protocoltest.Fuzz(f, New,
		[]string{protocoltest.Get("/a?b=c").SCGI(), protocoltest.Post("/p", 12).SCGI() + "twelve bytes", "12:", ",", "body"},
		[]string{answer, "Status: 100 Continue\r\n\r\n", "Content-Length: 3\r\n\r\nabc", "\n", "Location: x\r\n\r\n", "x"})
}
