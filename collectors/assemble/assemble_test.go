package assemble

import (
	"encoding/hex"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"lapwing/collectors/protocol"
	"lapwing/collectors/request"
	"lapwing/collectors/service"
	"lapwing/probes/socket/wire"
)

const (
	getHead  = "GET /shop/cart?id=7 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: test\r\n\r\n"
	plainOK  = "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Fri, 20 Nov 2026 16:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nok\n"
	cutOK    = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"
	badGate  = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"
	switched = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
)

func fields() wire.RecordFields {
	return wire.RecordFields{
		Conn: 7, Seq: 1, Family: unix.AF_INET, LocalPort: 8080, PeerPort: 40000,
		Local: [16]uint8{127, 0, 0, 1}, Peer: [16]uint8{127, 0, 0, 1},
		Established: 1000, Accepted: 1500, Arrived: 1200, ReadFirst: 2000, ArrivedLast: 1200, ReadLast: 2000,
		WriteFirst: 5000, WriteLast: 6000, Acked: 6500,
		RequestBytes: uint64(len(getHead)), Pid: uint32(os.Getpid()), Tid: uint32(os.Getpid()),
		Comm: [16]int8{'w', 'e', 'b'},
	}
}

func record(f wire.RecordFields, req, resp string) wire.Record {
	return recordOf(f, req, resp, wire.EndSeen)
}

// recordOf returns a record whose response has the given end.
func recordOf(f wire.RecordFields, req, resp string, end wire.End) wire.Record {
	wire.SetResponseEnd(&f, end)
	if len(resp) > 12 {
		status, _ := strconv.Atoi(resp[9:12])
		f.Out.Status = uint16(status)
	}
	if f.ResponseBytes == 0 {
		f.ResponseBytes = uint64(len(resp))
	}
	return wire.Compose(f, nil, []byte(req), []byte(resp))
}

// sink collects copies of what an Assembler exports.
type sink []*request.Request

func (s *sink) take(r *request.Request) { *s = append(*s, r.Clone()) }

func newAssembler(t testing.TB, export func(*request.Request)) *Assembler {
	services, err := service.New(service.Options{})
	require.NoError(t, err)
	for _, pid := range []uint32{uint32(os.Getpid()), 1} {
		services.Lookup(pid, "web") // no request has to wait for its name
	}
	return New(Options{Services: services, Export: export})
}

func TestFinalRecordBecomesRequest(t *testing.T) {
	var got sink
	a := newAssembler(t, got.take)
	a.HandleRecord(wire.Final, record(fields(), getHead, plainOK))
	require.Len(t, got, 1)
	r := got[0]
	assert.Equal(t, "GET", r.Method)
	assert.Equal(t, "/shop/cart", string(r.Path))
	assert.Equal(t, 200, r.Status)
	assert.Equal(t, "http/1.1", r.Protocol)
	assert.Equal(t, "web", r.Comm)
	assert.Equal(t, "127.0.0.1:8080", r.Local.String())
	assert.Empty(t, r.Error)
	phases, ok := r.Phases()
	require.True(t, ok)
	assert.Equal(t, request.Phases{800, 0, 3000, 1000}, phases)
	backlog, ok := r.Backlog()
	assert.True(t, ok)
	assert.EqualValues(t, 300, backlog)
}

func TestTentativeRecordCountsOnce(t *testing.T) {
	var got sink
	a := newAssembler(t, got.take)
	f := fields()
	a.HandleRecord(wire.Tentative, record(f, getHead, plainOK))
	f.Reported = f.Seq
	a.HandleRecord(wire.Tentative, record(f, getHead, plainOK))
	a.HandleRecord(wire.Final, record(f, getHead, plainOK))
	require.Len(t, got, 1)
	next := f
	next.Seq = 2
	a.HandleRecord(wire.Final, record(next, getHead, plainOK))
	assert.Len(t, got, 2)
}

// The ends of some connections are never seen. However many there are, the request
// of the next quiet connection is passed on.
func TestEndsThatAreNeverSeen(t *testing.T) {
	var got sink
	a := newAssembler(t, func(r *request.Request) { got = append(got[:0], r.Clone()) })
	const many = 1<<16 + 100
	for i := range uint64(many) {
		f := fields()
		f.Conn, f.Closed = i+1, i%2 // quiet, or closed
		a.HandleRecord(wire.Tentative, record(f, getHead, plainOK))
		if i%1024 == 0 {
			a.Tick(time.Now())
		}
	}
	assert.EqualValues(t, many, a.Counts().Requests+uint64(len(a.conns.byID)))
	f := fields()
	f.Conn = many + 1
	a.HandleRecord(wire.Tentative, record(f, getHead, plainOK))
	require.Len(t, got, 1)
	assert.EqualValues(t, many+1, got[0].Conn)
}

// The server closed the connection, and its end was not seen.
func TestClosedConnectionWhoseEndIsNotSeen(t *testing.T) {
	var got sink
	a := newAssembler(t, got.take)
	f := fields()
	f.Closed = uint64(request.Now())
	a.HandleRecord(wire.Tentative, record(f, getHead, plainOK))
	a.Tick(time.Now())
	assert.Empty(t, got, "the end has its time")
	assert.Eventually(t, func() bool { a.Tick(time.Now()); return len(got) > 0 }, 5*time.Second, 10*time.Millisecond)
	assert.GreaterOrEqual(t, request.Now(), request.Stamp(f.Closed)+closingTime)
	f.Reported = f.Seq
	a.HandleRecord(wire.Final, record(f, getHead, plainOK))
	require.Len(t, got, 1, "an end that is seen late changes nothing")
	assert.Equal(t, "/shop/cart", string(got[0].Path))
	assert.Empty(t, a.conns.byID)
}

func TestClosedConnectionWhoseEndIsSeen(t *testing.T) {
	var got sink
	a := newAssembler(t, got.take)
	for range 3 {
		f := fields()
		f.Closed = uint64(request.Now())
		a.HandleRecord(wire.Tentative, record(f, getHead, plainOK))
		f.Acked, f.Reported = f.Closed+1, f.Seq
		a.HandleRecord(wire.Final, record(f, getHead, plainOK))
	}
	a.Flush()
	require.Len(t, got, 3)
	assert.True(t, got[0].Acked.Seen())
	assert.Len(t, a.conns.free, 1, "room is used again")
}

func TestClosingsAreBounded(t *testing.T) {
	var got sink
	a := newAssembler(t, got.take)
	for i := range uint64(maxConnections + 100) {
		f := fields()
		f.Conn, f.Closed = i+1, 1
		a.HandleRecord(wire.Tentative, record(f, getHead, plainOK))
	}
	assert.Len(t, a.conns.byID, maxConnections)
	assert.Len(t, got, 100, "those that found no room do not wait")
	a.Flush()
	assert.Len(t, got, maxConnections+100)
	assert.Empty(t, a.conns.byID)
}

// TestRoom fills the Assembler with connections that it frames. They must not lose
// a request for other connections that cost less to give up.
func TestRoom(t *testing.T) {
	var got sink
	a := newAssembler(t, got.take)
	f := fields()
	for range maxConnections {
		f.Conn++
		f.Seq, f.RequestBytes = 0, 0
		a.HandleRecord(wire.Opened, record(f, "", ""))
		e := wire.EventFields{Conn: f.Conn, Number: 1, Arrived: f.Conn, ArrivedLast: f.Conn, Exit: f.Conn, Pid: 1, Tid: 1}
		a.HandleEvent(wire.ComposeEvent(e, wire.Read, []byte(getHead)))
	}
	f.Seq, f.Conn, f.Closed = 1, f.Conn+1, 1
	a.HandleRecord(wire.Tentative, record(f, getHead, plainOK))
	require.Len(t, got, 1, "it does not wait for the end of its connection")
	f.Conn, f.Closed = f.Conn+1, 0
	a.HandleRecord(wire.Final, recordOf(f, getHead, cutOK, wire.EndOpen))
	require.Len(t, got, 2, "nor for that of its response")
	assert.Empty(t, got[1].Error)
	assert.Zero(t, got[1].WriteLast)
	assert.Zero(t, a.Counts().Overflowed)
	require.Len(t, a.conns.byID, maxConnections)

	f.Conn++
	f.Seq = 0
	a.HandleRecord(wire.Opened, record(f, "", ""))
	assert.EqualValues(t, 1, a.Counts().Overflowed, "the longest unused one makes room")
	require.Len(t, a.conns.byID, maxConnections)
	assert.Nil(t, a.conns.byID[fields().Conn+1])
	assert.Zero(t, a.Outstanding(fields().Conn+1))
	assert.Equal(t, 1, a.Outstanding(fields().Conn+2))
}

// TestOutstandingIsBounded has clients that send requests and do not wait for
// responses. What all connections together keep is limited, except for a few
// requests of each.
func TestOutstandingIsBounded(t *testing.T) {
	const each, connections = 100, 200
	a := newAssembler(t, func(*request.Request) {})
	f := fields()
	f.Seq, f.RequestBytes = 0, 0
	for range connections {
		f.Conn++
		a.HandleRecord(wire.Opened, record(f, "", ""))
		e := wire.EventFields{Conn: f.Conn, Number: 1, Arrived: 1, ArrivedLast: 1, Exit: 1, Pid: 1, Tid: 1}
		a.HandleEvent(wire.ComposeEvent(e, wire.Read, []byte(strings.Repeat(getHead, each))))
	}
	full := (maxOutstanding + each - 1) / each // that many connections keep everything
	assert.Equal(t, full*each+(connections-full)*protocol.AlwaysKept, each*connections-int(a.Counts().Overflowed))
	for conn := range a.conns.byID {
		a.HandleEvent(wire.ComposeEvent(wire.EventFields{Conn: conn, Number: 2, Exit: 2}, wire.Close, nil))
	}
	assert.Zero(t, a.outstanding.all)
	assert.Empty(t, a.conns.byID)
}

// If the kernel cannot find the end of a response, the request is not over before
// the connection is used again. It has no error then.
func TestEndOfResponses(t *testing.T) {
	for end, want := range map[wire.End]struct {
		ended bool
		err   string // at the close of the connection
		reset string // the same, but the client reset the connection
	}{
		wire.EndSeen:    {ended: true},
		wire.EndOpen:    {err: "connection_closed", reset: "connection_reset"},
		wire.EndClose:   {reset: "connection_reset"},
		wire.EndUnknown: {},
	} {
		r := recordOf(fields(), getHead, cutOK, end)
		assert.Equal(t, want.ended, Ended(r), "%d", end)
		for errno, err := range map[unix.Errno]string{0: want.err, unix.ECONNRESET: want.reset} {
			var got sink
			a := newAssembler(t, got.take)
			f := fields()
			f.Closed, f.Error = 7000, uint16(errno)
			a.HandleRecord(wire.Final, recordOf(f, getHead, cutOK, end))
			require.Len(t, got, 1)
			assert.Equal(t, err, got[0].Error, "%d, %v", end, errno)
		}
	}
}

func TestTraceParentAfterTheCapturedHead(t *testing.T) {
	const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	var got sink
	a := newAssembler(t, got.take)
	f := fields()
	wire.SetResponseEnd(&f, wire.EndSeen)
	r := wire.ComposeTraced(f, []byte(getHead[:60]), trace, []byte(plainOK))
	assert.Equal(t, trace, string(r.TraceParent()))
	assert.Equal(t, plainOK, string(r.ResponseHead()))
	a.HandleRecord(wire.Final, r)
	require.Len(t, got, 1)
	assert.Equal(t, "0af7651916cd43dd8448eb211c80319c", hex.EncodeToString(got[0].TraceID[:]))
	assert.True(t, got[0].Sampled)
	assert.Empty(t, got[0].Flags.Names(), "nothing of the request line is missing")
}

func TestCutResponseFailsOnceTheConnectionIsClosed(t *testing.T) {
	var got sink
	a := newAssembler(t, got.take)
	f := fields()
	f.Closed, f.Error = 7000, uint16(unix.ECONNRESET)
	a.HandleRecord(wire.Final, recordOf(f, getHead, cutOK, wire.EndOpen))
	require.Len(t, got, 1)
	assert.Equal(t, "connection_reset", got[0].Error)
	assert.EqualValues(t, 1, a.Counts().Incomplete)
}

func TestCutResponseIsHeldUntilTheConnectionGoesOn(t *testing.T) {
	var got sink
	a := newAssembler(t, got.take)
	a.HandleRecord(wire.Final, recordOf(fields(), getHead, cutOK, wire.EndOpen))
	assert.Empty(t, got, "an event-driven server may go on writing it")
	next := fields()
	next.Seq = 2
	a.HandleRecord(wire.Final, record(next, getHead, plainOK))
	require.Len(t, got, 2)
	assert.Equal(t, []uint32{1, 2}, []uint32{got[0].Seq, got[1].Seq})
	assert.Equal(t, []string{"end_unknown"}, got[0].Flags.Names())
	_, known := got[0].Duration()
	assert.False(t, known)
}

func TestNoResponseIsReportedWithWhatWasSeen(t *testing.T) {
	var got sink
	a := newAssembler(t, got.take)
	f := fields()
	f.WriteFirst, f.WriteLast, f.Acked, f.Closed = 0, 0, 0, 9000
	a.HandleRecord(wire.Final, record(f, getHead, ""))
	require.Len(t, got, 1)
	assert.Equal(t, "connection_closed", got[0].Error)
	_, ok := got[0].Duration()
	assert.False(t, ok)
	assert.True(t, got[0].Bounds().Known(request.Queue))
}

func TestServerErrorIsItsStatus(t *testing.T) {
	var got sink
	a := newAssembler(t, got.take)
	a.HandleRecord(wire.Final, record(fields(), getHead, badGate))
	require.Len(t, got, 1)
	assert.Equal(t, "502", got[0].Error)
	assert.Zero(t, a.Counts().Incomplete, "it has a complete response")
}

func TestUpgradeCountsAsTunnel(t *testing.T) {
	var got sink
	a := newAssembler(t, got.take)
	f := fields()
	f.Marks = wire.MarkUpgraded | wire.MarkResponding
	a.HandleRecord(wire.Final, record(f, getHead, switched))
	require.Len(t, got, 1)
	assert.Equal(t, []string{"upgraded"}, got[0].Flags.Names())
	assert.EqualValues(t, 1, a.Counts().Tunnels)
}

// An incomplete request line makes no request without other evidence.
func TestLineThatDidNotComeWhole(t *testing.T) {
	long := strings.Repeat("m", 256)
	for _, tt := range []struct {
		head    string
		place   wire.Place
		status  uint16
		request bool
	}{
		{"G", wire.PlaceLine, 0, true},
		{"GET /ha", wire.PlaceLine, 0, true},
		{"hello", wire.PlaceLine, 0, false},
		{"hello wor", wire.PlaceLine, 0, false},
		{"hello wor", wire.PlaceLost, 0, false},
		{"hello", wire.PlaceLine, 400, true},
		{long, wire.PlaceLine, 0, false},
		{long, wire.PlaceEnd, 0, true}, // the line was complete, but only a part of it was captured
		{"m /" + long[:200], wire.PlaceEnd, 0, true},
	} {
		var got sink
		a := newAssembler(t, got.take)
		f := fields()
		f.In.Place, f.Out.Status, f.Closed = uint8(tt.place), tt.status, 7000
		a.HandleRecord(wire.Final, recordOf(f, tt.head, "", wire.EndOpen))
		if tt.request {
			assert.Len(t, got, 1, "%.20q", tt.head)
			assert.Empty(t, a.Counts().Unknown)
		} else {
			assert.Empty(t, got, "%.20q", tt.head)
			assert.Equal(t, map[string]uint64{"not_http": 1}, a.Counts().Unknown)
		}
	}
}

func TestUnknownProtocolIsCountedPerReason(t *testing.T) {
	var got sink
	a := newAssembler(t, got.take)
	f := fields()
	f.Error = uint16(wire.ReasonBytes)
	a.HandleRecord(wire.Unknown, record(f, "\x16\x03\x01\x02\x00\x01", ""))
	f.Error = uint16(wire.ReasonServerFirst)
	a.HandleRecord(wire.Unknown, record(f, "SSH-2.0-x", ""))
	assert.Empty(t, got)
	assert.Equal(t, map[string]uint64{"tls": 1, "server_spoke_first": 1}, a.Counts().Unknown)
}

func TestFilterLeavesOut(t *testing.T) {
	var got sink
	a := newAssembler(t, got.take)
	a.opts.Filter = &service.Filter{Ports: []uint16{9}}
	a.HandleRecord(wire.Final, record(fields(), getHead, plainOK))
	assert.Empty(t, got)
	assert.Zero(t, a.Counts().Requests)
}

func TestHotPathDoesNotAllocate(t *testing.T) {
	a := newAssembler(t, func(*request.Request) {})
	r := record(fields(), getHead, plainOK)
	a.HandleRecord(wire.Final, r)
	assert.Zero(t, testing.AllocsPerRun(100, func() { a.HandleRecord(wire.Final, r) }))
}

// TestClosingDoesNotAllocate has requests whose connection the server closes before
// its end is seen.
func TestClosingDoesNotAllocate(t *testing.T) {
	a := newAssembler(t, func(*request.Request) {})
	f := fields()
	f.Closed = uint64(request.Now())
	closed := record(f, getHead, plainOK)
	f.Acked, f.Reported = f.Closed+1, f.Seq
	ended := record(f, getHead, plainOK)
	now := time.Now()
	pair := func() {
		a.HandleRecord(wire.Tentative, closed)
		a.HandleRecord(wire.Final, ended)
		a.Tick(now)
	}
	for range 100 {
		pair()
	}
	assert.Zero(t, testing.AllocsPerRun(100, pair))
}

func BenchmarkFinal(b *testing.B) {
	a := newAssembler(b, func(*request.Request) {})
	r := record(fields(), getHead, plainOK)
	b.ReportAllocs()
	for b.Loop() {
		a.HandleRecord(wire.Final, r)
	}
}

// TestInFlightAtTheEnd checks that requests without an end are counted once and not
// reported.
func TestInFlightAtTheEnd(t *testing.T) {
	var got sink
	a := newAssembler(t, got.take)
	f := fields()
	f.WriteFirst, f.WriteLast, f.Acked = 0, 0, 0
	a.HandleRecord(wire.UnderWay, recordOf(f, getHead, "", wire.EndOpen))
	f.Conn = 8
	a.HandleRecord(wire.UnderWay, recordOf(f, getHead, cutOK, wire.EndOpen))
	f = fields()
	f.Conn = 9
	a.HandleRecord(wire.Tentative, record(f, getHead, plainOK))
	f.Reported = f.Seq
	a.HandleRecord(wire.UnderWay, record(f, getHead, plainOK))
	a.Flush()
	assert.Equal(t, uint64(2), a.Counts().InFlight)
	assert.Len(t, got, 1, "what was handed out before")
	assert.Empty(t, a.Counts().Unknown)
}
