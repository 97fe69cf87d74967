package detect

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"lapwing/collectors/protocol"
	"lapwing/collectors/protocol/protocoltest"
)

const get = "GET /plain HTTP/1.1\r\nHost: h\r\n\r\n"

func start(o protocol.Options) protocol.Pairer { return New(o) }

// openings are the first bytes of a connection in each protocol.
func openings() map[string]string {
	vars := protocoltest.Get("/shop")
	return map[string]string{
		"http1": get, "uwsgi": vars.UWSGI(), "scgi": vars.SCGI(), "fastcgi": vars.FastCGI(1, false, ""),
		"mod_wsgi": vars.ModWSGI(), "passenger": vars.Passenger(),
	}
}

func TestEachProtocolIsToldFromTheOthers(t *testing.T) {
	for name, bytes := range openings() {
		p, match := Of([]byte(bytes))
		assert.Equal(t, protocol.Yes, match, name)
		assert.Equal(t, name, p.Name)
		for n := range protocol.MatchBytes {
			p, match := Of([]byte(bytes[:min(n, len(bytes))]))
			assert.NotEqual(t, protocol.No, match, "%d bytes of %s", n, name)
			if match == protocol.Yes {
				assert.Equal(t, name, p.Name, "%d bytes", n)
			}
		}
	}
	for _, p := range protocols {
		if p.Detect != nil {
			assert.Contains(t, openings(), p.Name)
		}
	}
}

func TestRequestsOfAllProtocolsInPieces(t *testing.T) {
	for name, bytes := range openings() {
		for _, size := range []int{1, 4, 8, 16, 1000} {
			s := protocoltest.New(t, start)
			for at := 0; at < len(bytes); at += size {
				s.Read(1, 2+float64(at), bytes[at:min(at+size, len(bytes))])
			}
			answer := "HTTP/1.1 404 Gone\r\nContent-Length: 0\r\n\r\n"
			if name == "fastcgi" {
				answer = protocoltest.Record(6, 1, answer) + protocoltest.End(1, 0)
			}
			s.Write(3000, 3001, answer)
			s.Close(3002, "")
			if assert.Len(t, s.Got, 1, "%s in pieces of %d", name, size) {
				assert.Equal(t, 404, s.One().Status)
				assert.Equal(t, protocoltest.MS(2), s.One().ReadFirst, "%s in pieces of %d", name, size)
			}
			assert.Empty(t, s.Unknown)
		}
	}
}

func TestUnknownBytesAreCountedOnce(t *testing.T) {
	for bytes, want := range map[string]string{
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03": "tls",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n":             "http2",
		"EHLO mail.test\r\n":                           "not_http",
		"\x00\x00\x00\x2e\x00\x12\x00\x07kafka":        "not_http",
		"\x01\x02\x03\x04\x05\x06\x07\x08":             "not_http",
		"12:x":                                         "not_http",
	} {
		s := protocoltest.New(t, start)
		s.Read(1, 2, bytes)
		s.Read(1, 3, get)
		s.Write(4, 5, "HTTP/1.1 200 OK\r\n\r\n")
		s.Close(6, "")
		assert.Empty(t, s.Got, "%q", bytes)
		assert.Equal(t, []string{want}, s.Unknown, "%q", bytes)
	}
}

func TestTooLittleToTell(t *testing.T) {
	for name, end := range map[string]func(*protocoltest.Script){
		"closed":  func(s *protocoltest.Script) { s.Close(5, "") },
		"written": func(s *protocoltest.Script) { s.Write(3, 4, "hello") },
		"lost":    func(s *protocoltest.Script) { s.Lose() },
		"hidden":  func(s *protocoltest.Script) { s.ReadHidden(3, 4, "", 10) },
	} {
		s := protocoltest.New(t, start)
		s.Read(1, 2, "\x00\x30")
		end(s)
		s.Read(8, 9, openings()["uwsgi"])
		s.Close(10, "")
		assert.Empty(t, s.Got, name)
		assert.Equal(t, []string{"not_http"}, s.Unknown, name)
	}
}

func FuzzPairer(f *testing.F) {
	in := []string{"\x16\x03\x01\x02\x00", "PRI * HTTP/2.0\r\n\r\n", "REQUEST_METHOD\x00"}
	for _, p := range protocols[1:] { // the fuzzer looks for requests of gateway protocols
		in = append(in, openings()[p.Name])
	}
	protocoltest.Fuzz(f, start, in, []string{"HTTP/1.1 200 OK\r\n\r\n", "Status: 404 X\r\n\r\n",
		protocoltest.Record(6, 1, "Status: 404 X\r\n\r\n") + protocoltest.End(1, 0), "x"})
}
