package http1

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"lapwing/collectors/protocol"
)

func TestLapseReportsNoRequestThatMayBeAnothers(t *testing.T) {
	s := newScript(t)
	s.read(1, 2, get("/before"))
	s.p.Lose()
	s.write(3, 4, response(200, "whose?"))
	s.read(2, 5, get("/pipelined"))
	s.write(6, 7, response(200, "whose?"))
	assert.Empty(t, s.got)
	s.read(10, 11, get("/after"))
	s.write(12, 13, response(404, ""))
	s.close(20, "")
	assert.Equal(t, []string{"GET /after 404"}, s.lines())
	checkPhases(t, s.one(), 1, 0, 1, 1)
	assert.Equal(t, protocol.Counts{Desynced: 1, Unpaired: 2}, s.p.Counts())
}

func TestDetect(t *testing.T) {
	for bytes, want := range map[string]protocol.Match{
		"GET / HTTP/1.1\r\n\r\n":       protocol.Yes,
		"\r\nPOST /x HTTP/1.0\r\n":     protocol.Yes,
		"GE":                           protocol.Maybe,
		"\x16\x03\x01\x02\x00\x01\x00": protocol.No,
		"PRI * HTTP/2.0\r\n\r\n":       protocol.No,
		"\x01\x01\x00\x01\x00\x08":     protocol.No,
		"70:CONTENT_LENGTH\x000\x00":   protocol.No,
	} {
		assert.Equal(t, want, Detect([]byte(bytes)), "%q", bytes)
	}
}
