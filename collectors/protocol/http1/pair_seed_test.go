package http1

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"lapwing/collectors/protocol"
	"lapwing/collectors/request"
	"lapwing/collectors/text"
)

// seed returns a request that arrived at a moment and was read a millisecond later.
// Its response started at wrote, which may be 0.
func seed(arrived, wrote float64) request.Request {
	r := request.Request{PID: 100, TID: 101, WriterTID: 101, Comm: "worker"}
	r.Arrived, r.ArrivedLast = ms(arrived), ms(arrived)
	r.ReadFirst, r.ReadLast = ms(arrived+1), ms(arrived+1)
	if wrote > 0 {
		r.WriteFirst, r.WriteLast = ms(wrote), ms(wrote+1)
	}
	return r
}

func TestSeedRequestThatIsBeingRead(t *testing.T) {
	s := newScript(t)
	whole := post("/u", "0123456789")
	r := seed(10, 0)
	r.ReadLast, r.ClientWait = ms(31), 15*time.Millisecond
	s.p.Seed(r, []byte(whole[:50]), 50, nil, 0)
	s.readWait(60, 61, 29, whole[50:])
	s.write(70, 71, response(200, ""))

	assert.Equal(t, []string{"POST /u 200"}, s.lines())
	checkPhases(t, s.one(), 1, 50, 9, 1)
	checkParts(t, s.one(), 44, 0, 0)
	assert.Equal(t, uint32(5), s.one().Seq)
	assert.Equal(t, uint64(7), s.one().Conn)
	assert.Equal(t, uint64(len(whole)), s.one().RequestBytes)
	assert.Equal(t, ms(2), s.one().Accepted)
}

func TestSeedSecondRequestBeforeTheFirstResponse(t *testing.T) {
	s := newScript(t)
	s.p.Seed(seed(10, 0), []byte(get("/1")), uint64(len(get("/1"))), nil, 0)
	s.p.Seed(seed(15, 0), []byte(get("/2")), uint64(len(get("/2"))), nil, 0)
	s.write(20, 21, response(200, ""))
	s.write(30, 31, response(200, ""))
	assert.Equal(t, []string{"GET /1 200", "GET /2 200 pipelined"}, s.lines())
	checkPhases(t, s.got[0], 1, 0, 9, 1)
	checkPhases(t, s.got[1], 1, 0, 14, 1)
}

func TestSeedInMidResponse(t *testing.T) {
	s := newScript(t)
	out := response(200, "0123456789")
	r := seed(10, 20)
	r.WriteLast, r.Blocked, r.Produce = ms(30), 4*time.Millisecond, 2*time.Millisecond
	s.p.Seed(r, []byte(get("/1")), uint64(len(get("/1"))), []byte(out[:45]), 45)
	s.p.Seed(seed(25, 0), []byte(get("/2")), uint64(len(get("/2"))), nil, 0)
	s.writeBlocked(40, 41, 1, out[45:]+response(404, ""))
	assert.Equal(t, []string{"GET /1 200 streamed", "GET /2 404 pipelined"}, s.lines())
	checkPhases(t, s.got[0], 1, 0, 9, 21)
	checkParts(t, s.got[0], 0, 5, 12)
	checkPhases(t, s.got[1], 1, 0, 14, 1)
}

func TestSeedOfSeveralRequests(t *testing.T) {
	s := newScript(t)
	in := get("/1") + get("/2") + get("/3")
	r := seed(10, 0)
	r.ClientWait, r.Flags = time.Millisecond, request.HeadCut
	s.p.Seed(r, []byte(in), uint64(len(in)), nil, 0)
	assert.Equal(t, 3, s.p.Outstanding())
	s.write(20, 21, response(200, "")+response(201, "")+response(202, ""))
	assert.Equal(t, []string{"GET /1 200 head_cut", "GET /2 201 pipelined", "GET /3 202 pipelined"}, s.lines())
	for _, r := range s.got {
		checkPhases(t, r, 1, 0, 9, 1)
	}
}

func TestSeedContinuesTheOneBefore(t *testing.T) {
	s := newScript(t)
	whole := post("/u", "0123456789")
	s.p.Seed(seed(10, 0), []byte(whole[:50]), 50, nil, 0)
	s.p.Seed(seed(20, 0), []byte(whole[50:]), uint64(len(whole)-50), nil, 0)
	s.write(30, 31, response(200, ""))
	assert.Equal(t, []string{"POST /u 200"}, s.lines())
	checkPhases(t, s.one(), 1, 10, 9, 1)
}

func TestSeedWithHeadsCut(t *testing.T) {
	s := newScript(t)
	s.p.Seed(seed(10, 20), []byte(chromeHead)[:200], uint64(len(chromeHead)), []byte(nginxResponse)[:100], 500)
	s.p.Seed(seed(25, 0), []byte(chromeHead)[:200], uint64(len(chromeHead)), nil, 0)
	s.write(40, 41, nginxResponse+"hello\n")
	assert.Equal(t, []string{"GET /shop/cart 200 head_cut", "GET /shop/cart 200 head_cut"}, s.lines())
	checkPhases(t, s.got[0], 1, 0, 9, 1)
	checkPhases(t, s.got[1], 1, 0, 14, 1)
}

func TestSeedWithoutBytes(t *testing.T) {
	s := newScript(t)
	s.p.Seed(seed(10, 0), nil, 300, nil, 0)
	assert.Equal(t, 1, s.p.Outstanding(), "the kernel says that there is a request")
	s.close(30, "connection_reset")
	assert.Equal(t, []string{"  0 head_cut connection_reset"}, s.lines())
}

func TestSeedWithABodyOverdue(t *testing.T) {
	s := newScript(t)
	whole := post("/u", "0123456789")
	s.p.Seed(seed(10, 0), []byte(whole[:50]), 50, nil, 0)
	s.p.Seed(seed(20, 0), []byte(get("/2")), uint64(len(get("/2"))), nil, 0)
	s.write(30, 31, response(200, "")+response(201, ""))
	assert.Equal(t, []string{"POST /u 200", "GET /2 201 pipelined"}, s.lines())
	checkPhases(t, s.got[0], 1, 0, 19, 1)
	assert.Equal(t, uint64(1), s.p.Desynced())
}

func TestPairBoundsOutstandingRequests(t *testing.T) {
	const sent, answered = protocol.MaxKept + 200, protocol.MaxKept + 100
	s := newScript(t)
	for i := range sent {
		s.read(10, 11, get("/"+strconv.Itoa(i)))
	}
	assert.Equal(t, sent, s.p.Outstanding())
	for range answered {
		s.write(20, 21, response(200, ""))
	}
	assert.Len(t, s.got, protocol.MaxKept)
	s.read(30, 31, get("/late")) // 100 before it are not kept
	for range sent - answered + 1 {
		s.write(40, 41, response(200, ""))
	}
	assert.Len(t, s.got, protocol.MaxKept)
	assert.Zero(t, s.p.Outstanding())
	s.read(50, 51, get("/again"))
	s.write(60, 61, response(200, ""))

	assert.Len(t, s.got, protocol.MaxKept+1)
	for i, r := range s.got[:protocol.MaxKept] {
		assert.Equal(t, "/"+strconv.Itoa(i), string(r.Path))
	}
	assert.Equal(t, "GET /again 200", s.lines()[protocol.MaxKept])
	assert.Equal(t, uint32(4+sent+2), s.got[protocol.MaxKept].Seq)
	assert.Equal(t, uint64(sent-protocol.MaxKept+1), s.p.Counts().Overflowed)
}

func TestPairBoundsHeads(t *testing.T) {
	long := "X-Long: " + strings.Repeat("x", 2*maxHead) + "\r\n\r\n"
	s := newScript(t)
	in := "GET /long HTTP/1.1\r\nHost: h\r\n" + long
	s.read(10, 11, in[:20])
	s.read(20, 21, in[20:])
	assert.LessOrEqual(t, cap(s.p.in.head), 2*maxHead)
	s.write(30, 31, "HTTP/1.1 200 OK\r\n"+long)
	s.close(40, "connection_closed")
	assert.Equal(t, []string{"GET /long 200 head_cut"}, s.lines())
	checkPhases(t, s.one(), 1, 10, 9, 1)
	assert.Equal(t, uint64(len(in)), s.one().RequestBytes)
	assert.Equal(t, uint64(2), s.p.Counts().HeadsCut)
}

func TestPairBoundsFacts(t *testing.T) {
	s := newScript(t)
	path := "/" + strings.Repeat("p", 2999)
	head := "GET " + path + "?" + strings.Repeat("q", 500) + " HTTP/1.1\r\nHost: h\r\n\r\n"
	for range 5 {
		s.read(10, 11, head)
	}
	assert.Equal(t, maxKept, s.p.kept)
	for range 5 {
		s.write(20, 21, response(200, ""))
	}
	assert.Zero(t, s.p.kept)
	var paths, queries []int
	for _, r := range s.got {
		paths = append(paths, len(r.Path))
		queries = append(queries, len(r.Detail.(*Message).Query))
	}
	const most = text.MaxPath
	assert.Equal(t, []int{most, most, most, maxKept - 3*(most+501), 0}, paths)
	assert.Equal(t, []int{500, 500, 500, 0, 0}, queries)
	assert.Equal(t, uint64(2), s.p.Counts().HeadsCut)
	assert.Equal(t, request.HeadCut|request.Pipelined, s.got[4].Flags)
}
