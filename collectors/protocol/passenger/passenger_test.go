package passenger

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"lapwing/collectors/protocol"
	"lapwing/collectors/protocol/protocoltest"
	"lapwing/collectors/request"
)

const answer = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n"

// The application process sends each line of the head with a separate call.
func TestRequest(t *testing.T) {
	s := protocoltest.New(t, New)
	head := protocoltest.Get("/shop?x=1").Passenger()
	s.Read(10, 11, head[:4])
	s.Read(10, 12, head[4:])
	s.Write(30, 31, "HTTP/1.1 418 Teapot\r\nStatus: 418 Teapot\r\nConnection: close\r\n")
	s.Write(31, 32, "Content-Type: text/plain\r\n")
	s.Write(32, 33, "Content-Length: 6\r\n\r\n")
	s.Write(33, 34, "hello\n")
	s.Close(35, request.ErrorClosed)
	assert.Equal(t, []string{"GET /shop 418"}, s.Lines())
	protocoltest.Phases(t, s.One(), 1, 1, 18, 4)
	assert.Equal(t, "passenger", s.One().Protocol)
}

func TestConnectionThatIsKept(t *testing.T) {
	s := protocoltest.New(t, New)
	for i := range 3 {
		at := 100 * float64(i)
		s.Read(at+10, at+12, protocoltest.Get("/"+string('a'+rune(i))).Passenger())
		s.Write(at+30, at+31, answer)
	}
	assert.Len(t, s.Got, 2, "the last one may go on")
	s.Expire(protocoltest.MS(240), time.Second)
	assert.Len(t, s.Got, 2)
	s.Expire(protocoltest.MS(2000), time.Second)
	assert.Equal(t, []string{"GET /a 200", "GET /b 200", "GET /c 200"}, s.Lines())
	assert.EqualValues(t, 7, s.Got[2].Seq)
	protocoltest.Phases(t, s.Got[2], 2, 0, 18, 1)
	s.Close(3000, request.ErrorClosed)
	assert.Len(t, s.Got, 3)
	assert.Empty(t, s.Unknown)
}

func TestDetect(t *testing.T) {
	good := protocoltest.Get("/").Passenger()
	for bytes, want := range map[string]protocol.Match{
		good: protocol.Yes, good[:4]: protocol.Maybe, "\x00\x00\x00\x2e\x00\x12\x00\x03": protocol.No,
		"\x00\x00\x00\x02OK": protocol.No, "\x7f\x00\x00\x00QUERY": protocol.No,
	} {
		assert.Equal(t, want, Detect([]byte(bytes)), "%.20q", bytes)
	}
}

func FuzzPairer(f *testing.F) {
	protocoltest.Fuzz(f, New,
		[]string{protocoltest.Get("/a?b=c").Passenger(), protocoltest.Post("/p", 12).Passenger() + "twelve bytes", "body"},
		[]string{answer, "HTTP/1.1 200 OK\r\n", "Status: 204 X\r\n", "\r\n", "HTTP/1.1 304 X\r\n\r\n", "x"})
}
