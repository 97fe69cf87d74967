package http1

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"lapwing/collectors/protocol"
)

func TestPairClose(t *testing.T) {
	whole := response(200, "0123456789")
	for name, tc := range map[string]struct {
		in    string
		out   []string
		cause string
		want  []string
	}{
		"no response":              {get("/"), nil, "connection_reset", []string{"GET / 0 connection_reset"}},
		"cause not known":          {get("/"), nil, "", []string{"GET / 0 connection_closed"}},
		"request not wholly read":  {post("/u", "0123456789")[:50], nil, "connection_closed", []string{"POST /u 0 connection_closed"}},
		"request head cut":         {"GET /some/whe", nil, "connection_closed", []string{"GET /some/whe 0 connection_closed"}},
		"only a word":              {"GET", nil, "connection_closed", nil},
		"only line breaks":         {"\r\n\r\n", nil, "connection_closed", nil},
		"response head cut":        {get("/"), []string{whole[:30]}, "connection_closed", []string{"GET / 200 connection_closed"}},
		"response line cut":        {get("/"), []string{"HTTP/1.1 2"}, "connection_closed", []string{"GET / 0 connection_closed"}},
		"response body cut":        {get("/"), []string{whole[:len(whole)-1]}, "connection_reset", []string{"GET / 200 connection_reset"}},
		"chunks cut":               {get("/"), []string{chunkedResponse + "5\r\nhello\r\n"}, "connection_closed", []string{"GET / 200 connection_closed"}},
		"interim response only":    {get("/"), []string{continueInterim}, "connection_closed", []string{"GET / 0 continued connection_closed"}},
		"interim response cut":     {get("/"), []string{continueInterim[:20]}, "connection_closed", []string{"GET / 0 continued connection_closed"}},
		"until close":              {get("/"), []string{uwsgiResponse, "body"}, "connection_closed", []string{"GET / 200"}},
		"until close, reset":       {get("/"), []string{uwsgiResponse, "body"}, "connection_reset", []string{"GET / 200 connection_reset"}},
		"other coding":             {get("/"), []string{"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nbody"}, "connection_closed", []string{"GET / 200"}},
		"lengths differ":           {get("/"), []string{"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\nbody"}, "connection_closed", []string{"GET / 200"}},
		"one of three answered":    {get("/1") + get("/2") + get("/3"), []string{whole}, "connection_closed", []string{"GET /1 200", "GET /2 0 pipelined connection_closed", "GET /3 0 pipelined connection_closed"}},
		"until close, then others": {get("/1") + get("/2"), []string{uwsgiResponse}, "connection_closed", []string{"GET /1 200", "GET /2 0 pipelined connection_closed"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t)
			s.read(10, 11, tc.in)
			for i, piece := range tc.out {
				s.write(20+float64(i)/10, 20.1+float64(i)/10, piece)
			}
			s.close(50, tc.cause)
			s.read(60, 61, get("/after")) // a closed connection gives no more requests
			assert.Equal(t, tc.want, s.lines())
			for _, r := range s.got {
				assert.Equal(t, r.Error != "", r.Closed == ms(50), "closed is set for unfinished requests")
			}
		})
	}
}

func TestPairClosePartialResponseKeepsItsStamps(t *testing.T) {
	s := newScript(t)
	s.read(10, 11, get("/"))
	s.write(20, 22, response(200, "0123456789")[:45])
	s.close(30, "connection_reset")
	checkPhases(t, s.one(), 1, 0, 9, 2)
	assert.Equal(t, uint64(45), s.one().ResponseBytes)
}

func TestPairResynchronises(t *testing.T) {
	t.Run("a response that is longer than it says", func(t *testing.T) {
		s := newScript(t)
		s.read(10, 11, get("/1"))
		s.write(20, 21, response(200, "ab")+"surplus")
		s.write(22, 23, "and more")
		s.read(30, 31, get("/2"))
		s.write(40, 41, response(200, ""))
		assert.Equal(t, []string{"GET /1 200", "GET /2 200"}, s.lines())
		assert.Equal(t, uint64(1), s.p.Desynced())
		checkPhases(t, s.got[1], 1, 0, 9, 1)
	})
	t.Run("a response that is shorter than it says", func(t *testing.T) {
		s := newScript(t)
		s.read(10, 11, get("/1"))
		s.write(20, 21, "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhello")
		s.read(30, 31, get("/2"))
		s.write(40, 41, response(200, ""))
		assert.Equal(t, []string{"GET /1 200", "GET /2 200"}, s.lines())
		assert.Equal(t, uint64(1), s.p.Desynced())
		checkPhases(t, s.got[0], 1, 0, 9, 1)
	})
	t.Run("a body that holds a response", func(t *testing.T) {
		s := newScript(t)
		s.read(10, 11, get("/archive"))
		s.write(20, 21, "HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n")
		s.write(21.5, 23, "HTTP/1.1 404 Not Found\r\n\r\n12345678901234")
		assert.Equal(t, []string{"GET /archive 200"}, s.lines())
		assert.Zero(t, s.p.Desynced())
	})
	t.Run("a chunked response of which framing is missing", func(t *testing.T) {
		s := newScript(t)
		s.read(10, 11, get("/1"))
		s.event(protocol.Event{Kind: protocol.Write, Enter: ms(20), Exit: ms(21), Bytes: 5000, Data: []byte(chunkedResponse + "3\r\nabc\r\n")})
		s.write(21.5, 23, "0\r\n\r\n")
		assert.Empty(t, s.got, "where the response ends is not known")
		s.read(30, 31, get("/2"))
		s.write(40, 41, response(201, ""))
		assert.Equal(t, []string{"GET /1 200", "GET /2 201"}, s.lines())
		checkPhases(t, s.got[0], 1, 0, 9, 3)
		assert.Equal(t, uint64(1), s.p.Desynced())
	})
	t.Run("a chunked request of which framing is missing", func(t *testing.T) {
		s := newScript(t)
		s.event(protocol.Event{Kind: protocol.Read, Arrived: ms(10), ArrivedLast: ms(10), Exit: ms(11), Bytes: 5000, Data: []byte(chunkedPost)})
		s.readWait(20, 21, 9, "rest\r\n0\r\n\r\n")
		s.write(30, 31, response(200, ""))
		s.read(40, 41, get("/2"))
		s.write(50, 51, response(201, ""))
		assert.Equal(t, []string{"POST /c 200", "GET /2 201"}, s.lines())
		checkPhases(t, s.got[0], 1, 10, 9, 1)
		checkParts(t, s.got[0], 9, 0, 0)
		assert.Equal(t, uint64(1), s.p.Desynced())
	})
	t.Run("chunks that are none", func(t *testing.T) {
		s := newScript(t)
		s.read(10, 11, chunkedPost+"zz\r\n")
		s.write(20, 21, response(400, ""))
		s.read(30, 31, get("/2"))
		s.write(40, 41, response(200, ""))
		assert.Equal(t, []string{"POST /c 400", "GET /2 200"}, s.lines())
	})
	t.Run("a request whose lengths differ", func(t *testing.T) {
		s := newScript(t)
		s.read(10, 11, "POST /1 HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabcde")
		s.write(20, 21, response(400, ""))
		s.read(30, 31, get("/2"))
		s.write(40, 41, response(200, ""))
		assert.Equal(t, []string{"POST /1 400", "GET /2 200"}, s.lines())
	})
}

func TestPairHeadsOfWhichOnlyAPrefixIsAtHand(t *testing.T) {
	s := newScript(t)
	in, out := []byte(chromeHead), []byte(nginxResponse)
	for i := range 3 {
		at := float64(i * 100)
		s.event(protocol.Event{Kind: protocol.Read, Arrived: ms(at + 10), ArrivedLast: ms(at + 10), Exit: ms(at + 11), Bytes: uint64(len(in)), Data: in[:200]})
		s.event(protocol.Event{Kind: protocol.Write, Enter: ms(at + 20), Exit: ms(at + 21), Bytes: uint64(len(out)) + 6, Data: out[:100]})
	}
	s.close(400, "connection_closed")
	const line = "GET /shop/cart 200 head_cut"
	assert.Equal(t, []string{line, line, line}, s.lines())
	for _, r := range s.got {
		checkPhases(t, r, 1, 0, 9, 1)
		assert.Equal(t, uint64(len(in)), r.RequestBytes)
		assert.Equal(t, uint64(len(out)+6), r.ResponseBytes)
	}
	assert.Equal(t, protocol.Counts{Desynced: 6, HeadsCut: 6}, s.p.Counts())
}

func TestSilenceEndsNoResponse(t *testing.T) {
	s := newScript(t)
	s.read(10, 11, get("/1"))
	s.event(protocol.Event{Kind: protocol.Write, Enter: ms(20), Exit: ms(21), Bytes: 900, Data: []byte(chunkedResponse)})
	s.p.Expire(ms(3600e3), 500e6)
	assert.Empty(t, s.got, "the end of a response in whose chunks bytes are missing is not known")
	assert.Equal(t, 1, s.p.Outstanding())

	s.read(3700e3, 3700e3+1, get("/2"))
	s.write(3800e3, 3800e3+1, response(200, ""))
	assert.Equal(t, []string{"GET /1 200", "GET /2 200"}, s.lines(), "the next request ends it")
}

func TestPairOrphans(t *testing.T) {
	t.Run("request bytes not at hand", func(t *testing.T) {
		s := newScript(t)
		s.event(protocol.Event{Kind: protocol.Read, Arrived: ms(10), ArrivedLast: ms(10), Exit: ms(12), Bytes: 100})
		s.write(20, 21, response(200, "x"))
		s.read(30, 31, get("/2"))
		s.write(40, 41, response(200, "x"))
		assert.Equal(t, []string{"  200 orphan", "GET /2 200"}, s.lines())
		checkPhases(t, s.got[0], 2, 0, 8, 1)
	})
	t.Run("requests among bytes not at hand", func(t *testing.T) {
		s := newScript(t)
		in := strings.Repeat(get("/"), 16)
		s.event(protocol.Event{Kind: protocol.Read, Arrived: ms(10), ArrivedLast: ms(10), Exit: ms(11), Bytes: uint64(len(in)), Data: []byte(in)[:100]})
		for i := range 16 {
			s.write(20+float64(i), 20.5+float64(i), response(200, ""))
		}
		s.read(50, 51, get("/next"))
		s.write(60, 61, response(201, ""))
		want := []string{"GET / 200", "GET / 200 pipelined", "GET / 200 pipelined", "GET / 200 pipelined+head_cut"}
		for len(want) < 16 {
			want = append(want, "  200 pipelined+orphan")
		}
		assert.Equal(t, append(want, "GET /next 201"), s.lines())
		checkPhases(t, s.got[15], 1, 0, 24, 0.5)
	})
	t.Run("bytes that are no request, refused as HTTP", func(t *testing.T) {
		s := newScript(t)
		s.read(10, 11, "GE")
		s.read(20, 21, "\x00\x01\x02")
		s.write(30, 31, response(400, ""))
		s.close(40, "connection_closed")
		assert.Equal(t, []string{"  400 orphan"}, s.lines())
		checkPhases(t, s.one(), 1, 10, 9, 1)
		assert.Equal(t, uint32(5), s.one().Seq)
	})
	t.Run("bytes that are no request, not answered", func(t *testing.T) {
		s := newScript(t)
		s.read(10, 11, "\x16\x03\x01\x02\x00")
		s.write(20, 21, "\x15\x03\x03\x00\x02")
		s.close(30, "connection_closed")
		assert.Empty(t, s.got)
	})
	t.Run("response to nothing", func(t *testing.T) {
		s := newScript(t)
		s.write(10, 11, response(408, ""))
		s.close(12, "connection_closed")
		assert.Empty(t, s.got)
		assert.Equal(t, protocol.Counts{Unpaired: 1}, s.p.Counts())
	})
	t.Run("response bytes not at hand", func(t *testing.T) {
		s := newScript(t)
		s.read(10, 11, get("/1"))
		s.event(protocol.Event{Kind: protocol.Write, Enter: ms(20), Exit: ms(21), Bytes: 100})
		s.read(30, 31, get("/2"))
		s.write(40, 41, response(200, ""))
		assert.Equal(t, []string{"GET /1 0 head_cut", "GET /2 200"}, s.lines())
		checkPhases(t, s.got[0], 1, 0, 9, 1)
	})
}

// An incomplete head is not a request if the answer to it is not HTTP.
func TestHalfHeadAnsweredOtherwise(t *testing.T) {
	for _, half := range []string{"G", "GET /ha", "m1 /a HT", "GET /a HTTP/1.1\r\nHost: a\r\n"} {
		for name, first := range map[string]func(*script){
			"read":   func(s *script) { s.read(30, 31, half) },
			"seeded": func(s *script) { s.p.Seed(seed(30, 0), []byte(half), uint64(len(half)), nil, 0) },
		} {
			t.Run(name+" "+half, func(t *testing.T) {
				s := newScript(t)
				var unknown []string
				s.p.unknown = func(reason string) { unknown = append(unknown, reason) }
				if name == "read" { // the first bytes of the connection
					s.read(10, 11, get("/before"))
					s.write(20, 21, response(200, ""))
				}
				want := s.lines()
				first(s)
				s.write(40, 41, "what?\r\n")
				s.read(50, 51, half)
				s.write(60, 61, "what?\r\n")
				s.close(70, "")
				assert.Equal(t, want, s.lines())
				assert.Equal(t, []string{"not_http"}, unknown)
			})
		}
	}
}

// Neither is a line without an answer, if its method is not in capitals.
func TestHalfHeadWithoutAnswer(t *testing.T) {
	for half, want := range map[string]int{"GET /ha": 1, "hello wor": 0, "m1 /a HTTP/1.1\r\nHost:": 1} {
		s := newScript(t)
		s.read(10, 11, half)
		s.close(70, "")
		assert.Len(t, s.got, want, half)
	}
	s := newScript(t)
	s.read(10, 11, "hello wor")
	s.write(20, 21, response(400, ""))
	assert.Len(t, s.got, 1, "it is answered as a request")
}
