package http1

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"lapwing/collectors/protocol"
	"lapwing/collectors/request"
)

func TestPairOrdinary(t *testing.T) {
	s := newScript(t)
	head := "GET /a?q=1 HTTP/1.1\r\nHost: h\r\nUser-Agent: test\r\ntraceparent: t\r\ntracestate: s\r\n\r\n"
	s.readWait(10, 12, 8, head)
	s.write(32, 33, response(200, "hello"))

	want := request.Request{
		Stamps: request.Stamps{
			Established: ms(1), Accepted: ms(2), Arrived: ms(10), ReadFirst: ms(12),
			ArrivedLast: ms(10), ReadLast: ms(12), WriteFirst: ms(32), WriteLast: ms(33),
		},
		Conn: 7, Seq: 5, AcceptorTID: 9, Service: "shop",
		RequestBytes: uint64(len(head)), ResponseBytes: uint64(len(response(200, "hello"))),
		PID: 100, TID: 101, WriterTID: 101, Comm: "worker",
		Protocol: "http/1.1", Method: "GET", Path: []byte("/a"), Status: 200, Host: []byte("h"),
		Detail: &Message{
			Query: []byte("q=1"), UserAgent: []byte("test"), TraceParent: []byte("t"), TraceState: []byte("s"),
			RequestHeadLen: len(head), ResponseHeadLen: len(response(200, "hello")) - 5,
		},
	}
	assert.Equal(t, &want, s.one())
	checkPhases(t, s.one(), 2, 0, 20, 1)
	assert.Zero(t, s.p.Outstanding())
	assert.Equal(t, protocol.Counts{}, s.p.Counts())
}

func TestPairKeepAlive(t *testing.T) {
	s := newScript(t)
	s.read(10, 11, post("/1", "body"))
	s.write(20, 21, response(201, ""))
	s.readWait(50, 51, 30, "\r\n"+get("/2"))
	s.write(60, 61, response(404, "x"))
	s.close(99, "connection_closed")

	assert.Equal(t, []string{"POST /1 201", "GET /2 404"}, s.lines())
	assert.Equal(t, uint32(5), s.got[0].Seq)
	assert.Equal(t, uint32(6), s.got[1].Seq)
	checkPhases(t, s.got[1], 1, 0, 9, 1)
	checkParts(t, s.got[1], 0, 0, 0)
}

func TestPairPipelinedInOneReadAnsweredInOneWrite(t *testing.T) {
	s := newScript(t)
	s.read(10, 12, get("/1")+post("/2", "four")+get("/3"))
	s.write(30, 34, response(200, "a")+response(200, "bb")+response(500, ""))

	assert.Equal(t, []string{"GET /1 200", "POST /2 200 pipelined", "GET /3 500 pipelined"}, s.lines())
	for i, r := range s.got {
		assert.Equal(t, uint32(5+i), r.Seq)
		checkPhases(t, r, 2, 0, 18, 4)
	}
	assert.Equal(t, uint64(len(post("/2", "four"))), s.got[1].RequestBytes)
	assert.Equal(t, uint64(len(response(200, "bb"))), s.got[1].ResponseBytes)
}

func TestPairPipelinedAnsweredByThreeThreads(t *testing.T) {
	s := newScript(t)
	s.read(10, 12, get("/1")+get("/2")+get("/3"))
	for i, enter := range []float64{20, 40, 70} {
		body := response(200, "x")
		s.event(protocol.Event{Kind: protocol.Write, Enter: ms(enter), Exit: ms(enter + 1), PID: 100, TID: uint32(201 + i),
			Bytes: uint64(len(body)), Data: []byte(body)})
	}
	assert.Equal(t, []string{"GET /1 200", "GET /2 200 pipelined", "GET /3 200 pipelined"}, s.lines())
	assert.Equal(t, uint32(203), s.got[2].WriterTID)
	assert.Equal(t, uint32(101), s.got[2].TID)
	checkPhases(t, s.got[1], 2, 0, 28, 1)
	checkPhases(t, s.got[2], 2, 0, 58, 1)
}

func TestPairSlowClient(t *testing.T) {
	s := newScript(t)
	whole := post("/slow", "0123456789")
	s.readWait(10, 11, 5, whole[:9])
	s.readWait(110, 111, 99, whole[9:40])
	s.readWait(210, 212, 99, whole[40:])
	s.write(232, 233, response(200, ""))

	r := s.one()
	checkPhases(t, r, 1, 201, 20, 1)
	checkParts(t, r, 198, 0, 0)
	assert.Equal(t, ms(210), r.ArrivedLast)
	assert.Equal(t, uint64(len(whole)), r.RequestBytes)
	assert.Equal(t, "/slow", string(r.Path))
}

func TestPairRequestThatBeginsInASharedRead(t *testing.T) {
	s := newScript(t)
	second := post("/2", "0123456789")
	s.read(10, 11, get("/1")+second[:30])
	s.write(15, 16, response(200, ""))
	s.readWait(30, 31, 19, second[30:])
	s.write(40, 41, response(200, ""))

	assert.Equal(t, []string{"GET /1 200", "POST /2 200 pipelined"}, s.lines())
	checkPhases(t, s.got[1], 1, 20, 9, 1)
	checkParts(t, s.got[1], 19, 0, 0)
}

func TestPairByteByByte(t *testing.T) {
	s := newScript(t)
	in := chunkedPost + "4;ext=1\r\nwiki\r\na\r\n0123456789\r\n000\r\nTrailer: 1\r\n\r\n" + get("/next")
	for i := range in {
		s.read(float64(10+i), float64(10+i), in[i:i+1])
	}
	out := chunkedResponse + "3\r\nabc\r\n0\r\n\r\n" + response(204, "")
	for i := range out {
		s.write(float64(300+i), float64(300+i), out[i:i+1])
	}
	assert.Equal(t, []string{"POST /c 200 streamed", "GET /next 204 pipelined+streamed"}, s.lines())
	assert.Equal(t, uint64(len(in)-len(get("/next"))), s.got[0].RequestBytes)
	assert.Equal(t, ms(float64(10+len(in)-len(get("/next"))-1)), s.got[0].ReadLast)
	assert.Zero(t, s.p.Desynced())
}

func TestPairChunkedBodyOfWhichBytesAreMissing(t *testing.T) {
	s := newScript(t)
	in := chunkedPost + "400\r\n"
	s.event(protocol.Event{Kind: protocol.Read, Arrived: ms(10), ArrivedLast: ms(10), Exit: ms(11),
		Bytes: uint64(len(in) + 0x300), Data: []byte(in)})
	s.event(protocol.Event{Kind: protocol.Read, Arrived: ms(20), ArrivedLast: ms(20), Exit: ms(21), Bytes: 0x100})
	s.read(30, 31, "\r\n0\r\n\r\n"+get("/next"))
	s.write(40, 41, response(200, "")+response(201, ""))

	assert.Equal(t, []string{"POST /c 200", "GET /next 201 pipelined"}, s.lines())
	assert.Equal(t, uint64(len(in)+0x400+7), s.got[0].RequestBytes)
	assert.Zero(t, s.p.Desynced(), "bytes missing inside a chunk do no harm")
}

func TestPairStreamedResponse(t *testing.T) {
	s := newScript(t)
	s.read(10, 11, get("/events"))
	s.write(20, 21, chunkedResponse+"1\r\na\r\n")
	s.write(121, 122, "1\r\nb\r\n")
	s.write(222, 223, "0\r\n\r\n")

	r := s.one()
	checkPhases(t, r, 1, 0, 9, 203)
	checkParts(t, r, 0, 0, 200)
	assert.Equal(t, []string{"GET /events 200 streamed"}, s.lines())
}

func TestPairSlowReader(t *testing.T) {
	big := response(200, strings.Repeat("x", 3000))
	t.Run("blocking server", func(t *testing.T) {
		s := newScript(t)
		s.read(10, 11, get("/big"))
		s.writeBlocked(20, 120, 90, big[:1000])
		s.writeBlocked(121, 221, 99, big[1000:])
		checkPhases(t, s.one(), 1, 0, 9, 201)
		checkParts(t, s.one(), 0, 189, 1)
	})
	t.Run("server that polls for room", func(t *testing.T) {
		s := newScript(t)
		s.read(10, 11, get("/big"))
		s.write(20, 21, big[:1000])
		s.writeBlocked(121, 122, 95, big[1000:2000]) // 95 of the 100 before it
		s.writeBlocked(222, 223, 101, big[2000:])
		checkParts(t, s.one(), 0, 196, 6)
	})
	t.Run("buffer full since the previous response", func(t *testing.T) {
		s := newScript(t)
		s.read(10, 11, get("/big"))
		s.writeBlocked(20, 25, 500, big)
		checkParts(t, s.one(), 0, 5, 0)
	})
}

func TestPairHeadInSeveralWrites(t *testing.T) {
	s := newScript(t)
	s.read(10, 11, get("/"))
	for i, piece := range []string{"HTTP/1.0 200 OK\r\n", "Server: x\r\n", "Content-Length: 2\r\n\r\n", "h", "i"} {
		s.write(20+float64(i)/10, 20.05+float64(i)/10, piece)
	}
	r := s.one()
	assert.Equal(t, ms(20), r.WriteFirst)
	assert.Equal(t, ms(20.45), r.WriteLast)
	assert.Equal(t, 200, r.Status)
	assert.Zero(t, r.Flags, "pauses between the pieces of a head are not a stream")
}

func TestPairSendfile(t *testing.T) {
	s := newScript(t)
	s.read(10, 11, get("/f"))
	s.write(20, 21, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
	s.event(protocol.Event{Kind: protocol.Write, Enter: ms(21), Exit: ms(30), Bytes: 600000})
	assert.Empty(t, s.got)
	s.event(protocol.Event{Kind: protocol.Write, Enter: ms(30), Exit: ms(50), Bytes: 400000})
	checkPhases(t, s.one(), 1, 0, 9, 30)
	assert.Equal(t, uint64(1000000+44), s.one().ResponseBytes)
}

func TestPairContinue(t *testing.T) {
	head := "PUT /u HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
	t.Run("interim response by itself", func(t *testing.T) {
		s := newScript(t)
		s.read(10, 11, head)
		s.write(12, 13, continueInterim)
		s.readWait(63, 64, 52, "body")
		s.write(74, 75, response(200, ""))
		assert.Equal(t, []string{"PUT /u 200 continued"}, s.lines())
		checkPhases(t, s.one(), 1, 53, 10, 1)
		checkParts(t, s.one(), 52, 0, 0)
		assert.Equal(t, uint64(len(continueInterim)+len(response(200, ""))), s.one().ResponseBytes)
	})
	t.Run("interim response cut in two, final one after it", func(t *testing.T) {
		s := newScript(t)
		s.read(10, 11, head)
		s.read(12, 13, "body")
		s.write(14, 15, continueInterim[:10])
		s.write(20, 21, continueInterim[10:]+response(200, "x"))
		assert.Equal(t, []string{"PUT /u 200 continued"}, s.lines())
		checkPhases(t, s.one(), 1, 2, 7, 1)
	})
	t.Run("other interim responses", func(t *testing.T) {
		s := newScript(t)
		s.read(10, 11, get("/"))
		s.write(12, 13, "HTTP/1.1 103 Early Hints\r\nLink: </s.css>\r\n\r\n")
		s.write(20, 21, response(200, "x"))
		assert.Equal(t, []string{"GET / 200"}, s.lines())
		checkPhases(t, s.one(), 1, 0, 9, 1)
	})
	t.Run("refused", func(t *testing.T) {
		s := newScript(t)
		s.read(10, 11, head)
		s.write(20, 21, response(417, ""))
		s.read(30, 31, get("/next")) // the client does not send the body
		s.write(40, 41, response(200, ""))
		assert.Equal(t, []string{"PUT /u 417 early_response", "GET /next 200"}, s.lines())
		assert.Equal(t, uint64(1), s.p.Desynced())
	})
}

func TestPairTunnel(t *testing.T) {
	for name, tc := range map[string]struct {
		in, out, after, want string
	}{
		"WebSocket":            {webSocketHead, switchingResponse, "", "GET /chat 101 upgraded"},
		"CONNECT":              {"CONNECT h:443 HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", "", "CONNECT  200 upgraded"},
		"bytes after the head": {webSocketHead, switchingResponse, "\x81\x05hello", "GET /chat 101 upgraded"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t)
			s.read(10, 11, tc.in)
			assert.False(t, s.p.Tunnel())
			s.write(20, 21, tc.out+tc.after)
			assert.True(t, s.p.Tunnel())
			s.read(30, 31, get("/in/the/tunnel"))
			s.write(40, 41, response(200, ""))
			s.close(50, "connection_reset")
			assert.Equal(t, []string{tc.want}, s.lines())
			checkPhases(t, s.one(), 1, 0, 9, 1)
			assert.Equal(t, uint64(len(tc.out)), s.one().ResponseBytes)
		})
	}
	t.Run("head of the response cut", func(t *testing.T) {
		s := newScript(t)
		s.read(10, 11, webSocketHead)
		s.event(protocol.Event{Kind: protocol.Write, Enter: ms(20), Exit: ms(21), Bytes: 400, Data: []byte(switchingResponse[:50])})
		assert.Equal(t, []string{"GET /chat 101 upgraded+head_cut"}, s.lines())
		assert.True(t, s.p.Tunnel())
	})
	t.Run("refused", func(t *testing.T) {
		s := newScript(t)
		s.read(10, 11, webSocketHead)
		s.write(20, 21, response(426, ""))
		assert.False(t, s.p.Tunnel())
		assert.Equal(t, []string{"GET /chat 426"}, s.lines())
	})
}

func TestPairEarlyResponse(t *testing.T) {
	t.Run("rest of the body read after the response", func(t *testing.T) {
		s := newScript(t)
		whole := post("/u", strings.Repeat("x", 100))
		s.read(10, 11, whole[:60])
		s.write(20, 21, response(404, ""))
		s.readWait(30, 31, 19, whole[60:])
		s.readWait(50, 51, 19, get("/next"))
		s.write(60, 61, response(200, ""))
		assert.Equal(t, []string{"POST /u 404 early_response", "GET /next 200"}, s.lines())
		checkPhases(t, s.got[0], 1, 9, 0, 1)
		assert.False(t, s.got[0].ReadLast.Seen(), "the last byte was not read before the request was reported")
		checkPhases(t, s.got[1], 1, 0, 9, 1)
	})
	t.Run("body read while the response is written", func(t *testing.T) {
		s := newScript(t)
		whole := post("/u", strings.Repeat("x", 100))
		out := response(200, "0123456789")
		s.read(10, 11, whole[:60])
		s.write(20, 21, out[:40])
		s.readWait(30, 31, 19, whole[60:]) // empty from 11 to 30; parse ends at 20
		s.write(40, 41, out[40:])
		assert.Equal(t, []string{"POST /u 200 early_response+streamed"}, s.lines())
		checkPhases(t, s.one(), 1, 9, 0, 21)
		checkParts(t, s.one(), 9, 0, 19)
		assert.Equal(t, uint64(len(whole)), s.one().RequestBytes)
		assert.Equal(t, ms(31), s.one().ReadLast)
	})
	t.Run("head not whole", func(t *testing.T) {
		s := newScript(t)
		s.read(10, 11, "GET /slow HTTP/1.1\r\nHo")
		s.write(20, 21, "HTTP/1.1 408 Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
		s.close(22, "connection_closed")
		assert.Equal(t, []string{"GET /slow 408 early_response"}, s.lines())
	})
}

func TestPairNextRequestReadInMidResponse(t *testing.T) {
	s := newScript(t)
	out := response(200, "0123456789")
	s.read(10, 11, get("/1"))
	s.write(20, 21, out[:40])
	s.read(30, 31, get("/2"))
	s.write(640, 641, out[40:])
	s.write(650, 651, response(200, ""))
	assert.Equal(t, []string{"GET /1 200 streamed", "GET /2 200 pipelined"}, s.lines())
	checkPhases(t, s.got[0], 1, 0, 9, 621)
	checkPhases(t, s.got[1], 1, 0, 619, 1)
}

func TestPairBodylessResponses(t *testing.T) {
	s := newScript(t)
	s.read(10, 11, strings.Replace(get("/h"), "GET", "HEAD", 1)+get("/n")+get("/m"))
	s.write(20, 21, nginxResponse+"HTTP/1.1 204 No Content\r\n\r\n")
	s.write(30, 31, "HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n")
	assert.Equal(t, []string{"HEAD /h 200", "GET /n 204 pipelined", "GET /m 304 pipelined"}, s.lines())
	assert.Zero(t, s.p.Desynced())
}

func TestPairCountsNothingForEmptyReads(t *testing.T) {
	s := newScript(t)
	s.read(10, 11, get("/1"))
	s.event(protocol.Event{Kind: protocol.Read, Exit: ms(12)}) // would block
	s.write(20, 21, response(200, ""))
	s.event(protocol.Event{Kind: protocol.Read, Exit: ms(30)}) // end of file
	s.close(31, "connection_closed")
	assert.Equal(t, []string{"GET /1 200"}, s.lines())
	assert.Equal(t, protocol.Counts{}, s.p.Counts())
}
