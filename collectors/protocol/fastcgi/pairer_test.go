package fastcgi

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"lapwing/collectors/protocol"
	"lapwing/collectors/protocol/protocoltest"
	"lapwing/collectors/request"
)

const page = "Status: 201 Created\r\nContent-type: text/html\r\n\r\nhello"

func stdout(id uint16, content string) string { return protocoltest.Record(typeStdout, id, content) }

// whole is a response as php-fpm writes it.
func whole(id uint16, content string) string { return stdout(id, content) + protocoltest.End(id, 0) }

func TestRequestInOneRead(t *testing.T) {
	s := protocoltest.New(t, New)
	in, out := protocoltest.Get("/shop?x=1").FastCGI(1, false, ""), whole(1, page)
	s.Read(10, 12, in)
	s.Write(20, 21, out)
	r := s.One()
	assert.Equal(t, []string{"GET /shop 201"}, s.Lines())
	protocoltest.Phases(t, r, 2, 0, 8, 1)
	assert.Equal(t, "fastcgi", r.Protocol)
	assert.EqualValues(t, len(in), r.RequestBytes)
	assert.EqualValues(t, len(out), r.ResponseBytes)
	s.Close(22, "")
	assert.Len(t, s.Got, 1)
	assert.Equal(t, protocol.Counts{}, s.Counts())
}

// php-fpm reads each header with a separate call and leaves the record that ends
// the body in the queue.
func TestReadsOfPHP(t *testing.T) {
	s := protocoltest.New(t, New)
	in := protocoltest.Get("/index.php").FastCGI(1, false, "")
	params := len(in) - 40
	at := 2.0
	for _, n := range []int{8, 8, 8, params, 8} {
		s.Read(1, at, in[:n])
		in = in[n:]
		at++
	}
	s.Write(20, 21, whole(1, page))
	s.Read(1, 22, in)
	s.Close(23, "")
	assert.Equal(t, []string{"GET /index.php 201"}, s.Lines())
	protocoltest.Phases(t, s.One(), 1, 4, 14, 1)
}

// uWSGI sends the header of a record with a separate call.
func TestWritesOfUWSGI(t *testing.T) {
	s := protocoltest.New(t, New)
	s.Read(1, 2, protocoltest.Get("/").FastCGI(1, false, ""))
	out := whole(1, "Status: 500 Internal Server Error\r\n\r\noops")
	s.Write(10, 11, out[:8])
	s.Write(11, 12, out[8:30])
	s.Write(12, 13, out[30:60])
	s.Write(14, 15, out[60:])
	assert.Equal(t, []string{"GET / 500 streamed"}, s.Lines())
	protocoltest.Phases(t, s.One(), 1, 0, 8, 5)
}

func TestBodyEndsParse(t *testing.T) {
	s := protocoltest.New(t, New)
	in := protocoltest.Post("/upload", 9000).FastCGI(1, false, strings.Repeat("x", 9000))
	s.Read(1, 2, in[:500])
	s.ReadHidden(3, 4, in[500:600], uint64(len(in)-600-8))
	s.Read(5, 6, in[len(in)-8:])
	s.Write(9, 10, whole(1, page))
	assert.Equal(t, []string{"POST /upload 201"}, s.Lines())
	protocoltest.Phases(t, s.One(), 1, 4, 3, 1)
	assert.EqualValues(t, len(in), s.One().RequestBytes)
	assert.Equal(t, protocol.Counts{}, s.Counts())
}

func TestResponseBeforeTheBodyIsEarly(t *testing.T) {
	s := protocoltest.New(t, New)
	in := protocoltest.Post("/upload", 100).FastCGI(1, true, strings.Repeat("x", 100))
	s.Read(1, 2, in[:len(in)-60])
	s.Write(5, 6, whole(1, page))
	s.Read(3, 8, in[len(in)-60:])
	s.Read(9, 10, protocoltest.Get("/next").FastCGI(1, true, ""))
	s.Write(11, 12, whole(1, page))
	assert.Equal(t, []string{"POST /upload 201 early_response", "GET /next 201"}, s.Lines())
	assert.Equal(t, protocol.Counts{}, s.Counts())
}

func TestConnectionThatIsKept(t *testing.T) {
	s := protocoltest.New(t, New)
	for i := range 3 {
		at := 10 * float64(i)
		s.Read(at+1, at+2, protocoltest.Get("/"+string('a'+rune(i))).FastCGI(1, true, ""))
		s.Write(at+4, at+5, whole(1, page))
	}
	assert.Equal(t, []string{"GET /a 201", "GET /b 201", "GET /c 201"}, s.Lines())
	assert.EqualValues(t, 7, s.Got[2].Seq)
	protocoltest.Phases(t, s.Got[2], 1, 0, 2, 1)
}

func TestMultiplexedRequests(t *testing.T) {
	s := protocoltest.New(t, New)
	one, two := protocoltest.Post("/one", 4).FastCGI(1, true, "body"), protocoltest.Get("/two").FastCGI(2, true, "")
	s.Read(1, 2, one[:len(one)-24]+two[:16])
	s.Read(3, 4, two[16:])
	assert.Equal(t, 2, s.Outstanding())
	s.Write(6, 7, stdout(2, page[:30]))
	s.Read(5, 8, one[len(one)-24:])
	s.Write(9, 10, stdout(1, "Status: 404 X\r\n\r\n")+stdout(2, page[30:])+protocoltest.End(2, 0))
	s.Write(12, 13, protocoltest.End(1, 0))
	assert.Equal(t, []string{"GET /two 201 streamed", "POST /one 404 streamed"}, s.Lines())
	protocoltest.Phases(t, s.Got[0], 1, 2, 2, 4)
	protocoltest.Phases(t, s.Got[1], 1, 6, 1, 4)
	assert.Equal(t, protocol.Counts{}, s.Counts())
}

func TestErrorStreamIsNotTheResponse(t *testing.T) {
	s := protocoltest.New(t, New)
	s.Read(1, 2, protocoltest.Get("/").FastCGI(1, false, ""))
	s.Write(3, 4, protocoltest.Record(typeStderr, 1, "PHP message: careful"))
	s.Write(8, 9, stdout(1, page)+protocoltest.Record(typeStderr, 1, "again")+whole(1, ""))
	protocoltest.Phases(t, s.One(), 1, 0, 6, 1)
	assert.Equal(t, []string{"GET / 201"}, s.Lines())
}

func TestHowARequestEnds(t *testing.T) {
	abort := protocoltest.Record(typeAbort, 1, "")
	for name, c := range map[string]struct{ in, out, want string }{
		"refused":      {"", protocoltest.End(1, 2), "GET / 0 refused"},
		"no output":    {"", protocoltest.End(1, 0), "GET / 0 connection_closed"},
		"aborted":      {abort, protocoltest.End(1, 0), "GET / 0 connection_closed"},
		"aborted late": {abort, whole(1, page), "GET / 201"},
		"cut":          {"", stdout(1, page), "GET / 201 connection_closed"},
		"nothing":      {"", "", "GET / 0 connection_closed"},
	} {
		t.Run(name, func(t *testing.T) {
			s := protocoltest.New(t, New)
			s.Read(1, 2, protocoltest.Get("/").FastCGI(1, false, "")+c.in)
			if c.out != "" {
				s.Write(3, 4, c.out)
			}
			s.Close(5, request.ErrorClosed)
			assert.Equal(t, []string{c.want}, s.Lines())
		})
	}
}

func TestAuthorizerHasNoBody(t *testing.T) {
	s := protocoltest.New(t, New)
	in := protocoltest.Get("/auth").FastCGI(1, false, "")
	in = in[:9] + "\x02" + in[10:len(in)-8]
	s.Read(1, 2, in)
	s.Write(5, 6, whole(1, "Status: 403 No\r\n\r\n"))
	assert.Equal(t, []string{"GET /auth 403"}, s.Lines())
}

// If the header of a record is not at hand, the next request or a silence ends the
// response.
func TestHiddenEnd(t *testing.T) {
	s := protocoltest.New(t, New)
	s.Read(1, 2, protocoltest.Get("/one").FastCGI(1, true, ""))
	s.WriteHidden(3, 4, stdout(1, page), 100)
	s.Write(5, 6, "what follows has no place")
	s.Read(7, 8, protocoltest.Get("/two").FastCGI(1, true, ""))
	s.Write(9, 10, whole(1, page))
	assert.Equal(t, []string{"GET /one 201 streamed", "GET /two 201"}, s.Lines())
	protocoltest.Phases(t, s.Got[0], 1, 0, 1, 3)
	s.Read(11, 12, protocoltest.Get("/three").FastCGI(1, true, ""))
	s.WriteHidden(13, 14, stdout(1, page), 100)
	s.Expire(protocoltest.MS(500), time.Second)
	assert.Len(t, s.Got, 2)
	s.Expire(protocoltest.MS(1014), time.Second)
	assert.Len(t, s.Got, 3)
	assert.EqualValues(t, 2, s.Counts().Desynced)
}

// If the header of a record of the body is not at hand, everything that is read
// before the response belongs to the request, whatever it looks like.
func TestHiddenBody(t *testing.T) {
	s := protocoltest.New(t, New)
	in := protocoltest.Post("/upload", 100_000).FastCGI(1, true, strings.Repeat("x", 60_000))
	s.ReadHidden(1, 2, in[:300], uint64(len(in)-300+20_000))
	bait := protocoltest.Get("/invented").FastCGI(1, true, "")
	s.Read(3, 4, bait)
	s.Write(6, 7, whole(1, page))
	assert.Equal(t, []string{"POST /upload 201"}, s.Lines())
	protocoltest.Phases(t, s.One(), 1, 2, 2, 1)
	assert.EqualValues(t, len(in)+20_000+len(bait), s.One().RequestBytes)
	s.Read(8, 9, protocoltest.Get("/next").FastCGI(1, true, ""))
	s.Write(10, 11, whole(1, page))
	assert.Equal(t, []string{"POST /upload 201", "GET /next 201"}, s.Lines())
	assert.EqualValues(t, 1, s.Counts().Desynced)
}

func TestLostEventsLoseOnlyWhatIsUnderWay(t *testing.T) {
	s := protocoltest.New(t, New)
	s.Read(1, 2, protocoltest.Get("/one").FastCGI(1, true, ""))
	s.Lose()
	s.Write(3, 4, "the rest of some record")
	s.Read(5, 6, "more")
	s.Read(7, 8, protocoltest.Get("/two").FastCGI(1, true, ""))
	s.Write(9, 10, whole(1, page))
	s.Close(11, "")
	assert.Equal(t, []string{"GET /two 201"}, s.Lines())
	assert.Equal(t, protocol.Counts{Desynced: 1, Unpaired: 1}, s.Counts())
	assert.Empty(t, s.Unknown)
}

func TestBadRecords(t *testing.T) {
	good := protocoltest.Get("/").FastCGI(1, false, "")
	params := protocoltest.Record(typeParams, 1, "\x7f\x00REQUEST_METHOD") + protocoltest.Record(typeParams, 1, "")
	for name, c := range map[string]struct{ bytes, want string }{
		"cut":            {good[:60], "fastcgi_truncated"},
		"other version":  {good[:16] + "\x02" + good[17:], "fastcgi_malformed"},
		"other type":     {good[:17] + "\x20" + good[18:], "fastcgi_malformed"},
		"lying pair":     {good[:16] + params, "fastcgi_malformed"},
		"begin too long": {good[:5] + "\x10" + good[6:], "fastcgi_malformed"},
		"no method":      {protocoltest.Vars{"A", "b"}.FastCGI(1, false, ""), "fastcgi_malformed"},
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

func TestTooManyAtOnce(t *testing.T) {
	s := protocoltest.New(t, New)
	for id := range uint16(maxOpen + 10) {
		s.Read(1, 2, protocoltest.Get("/").FastCGI(id+1, true, ""))
	}
	assert.Equal(t, maxOpen, s.Outstanding())
	assert.EqualValues(t, 10, s.Counts().Overflowed)
}

func TestDetect(t *testing.T) {
	good := protocoltest.Get("/").FastCGI(1, false, "")
	for bytes, want := range map[string]protocol.Match{
		good: protocol.Yes, good[:8]: protocol.Yes, good[:7]: protocol.Maybe, good[:1]: protocol.Maybe,
		protocoltest.Record(typeGetValues, 0, "x"): protocol.Yes,
		"\x01\x02\x00\x01\x00\x08\x00\x00":         protocol.No, good[:8] + "\x00\x09": protocol.No,
		"\x00\x10\x00\x00": protocol.No,
	} {
		assert.Equal(t, want, Detect([]byte(bytes)), "%.20q", bytes)
	}
}

func TestNoAllocationInSteadyState(t *testing.T) {
	finished := 0
	p := New(protocol.Options{Done: func(*request.Request) { finished++ }})
	in, out := []byte(protocoltest.Get("/a").FastCGI(1, true, "")), []byte(whole(1, page))
	read := protocol.Event{Kind: protocol.Read, Arrived: 1, ArrivedLast: 1, Exit: 2, Data: in, Bytes: uint64(len(in))}
	write := protocol.Event{Kind: protocol.Write, Enter: 3, Exit: 4, Data: out, Bytes: uint64(len(out))}
	round := func() {
		p.Handle(&read)
		p.Handle(&write)
	}
	round()
	assert.Equal(t, 1, finished)
	assert.Zero(t, testing.AllocsPerRun(100, round))
}

func FuzzPairer(f *testing.F) {
	body := strings.Repeat("x", 100)
	protocoltest.Fuzz(f, New,
		[]string{protocoltest.Get("/a?b=c").FastCGI(1, true, ""), protocoltest.Post("/p", 100).FastCGI(2, true, body),
			protocoltest.Get("/c").FastCGI(3, false, "")[:40], protocoltest.Record(typeAbort, 1, ""),
			protocoltest.Record(typeGetValues, 0, "\x01\x00x"), protocoltest.Record(typeStdin, 2, body), protocoltest.Record(typeStdin, 2, "")},
		[]string{whole(1, page), whole(2, page), stdout(1, page), stdout(2, body), protocoltest.End(1, 1), protocoltest.End(3, 0),
			protocoltest.Record(typeStderr, 1, "oops"), "\x01\x06\x00\x01\xff\xff\x00\x00", "x"})
}
