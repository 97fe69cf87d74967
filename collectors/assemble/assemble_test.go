package assemble

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"lapwing/collectors/request"
	"lapwing/collectors/service"
	"lapwing/probes/socket"
)

const (
	getHead  = "GET /shop/cart?id=7 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: test\r\n\r\n"
	plainOK  = "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Fri, 20 Nov 2026 16:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nok\n"
	cutOK    = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"
	badGate  = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"
	switched = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
)

func fields() socket.RecordFields {
	return socket.RecordFields{
		Conn: 7, Seq: 1, Family: unix.AF_INET, LocalPort: 8080, PeerPort: 40000,
		Local: [16]uint8{127, 0, 0, 1}, Peer: [16]uint8{127, 0, 0, 1},
		Established: 1000, Accepted: 1500, Arrived: 1200, ReadFirst: 2000, ArrivedLast: 1200, ReadLast: 2000,
		WriteFirst: 5000, WriteLast: 6000, Acked: 6500,
		RequestBytes: uint64(len(getHead)), Pid: uint32(os.Getpid()), Tid: uint32(os.Getpid()),
		Comm: [16]int8{'w', 'e', 'b'},
	}
}

func record(f socket.RecordFields, req, resp string) socket.Record {
	if f.ResponseBytes == 0 {
		f.ResponseBytes = uint64(len(resp))
	}
	return socket.Compose(f, nil, []byte(req), []byte(resp))
}

// sink collects copies of what an Assembler exports.
type sink []*request.Request

func (s *sink) take(r *request.Request) { *s = append(*s, r.Clone()) }

func newAssembler(t testing.TB, export func(*request.Request)) *Assembler {
	services, err := service.New(service.Options{})
	require.NoError(t, err)
	return New(Options{Services: services, Export: export})
}

func TestFinalRecordBecomesRequest(t *testing.T) {
	var got sink
	a := newAssembler(t, got.take)
	a.HandleRecord(socket.Final, record(fields(), getHead, plainOK))
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
	r := record(fields(), getHead, plainOK)
	a.HandleRecord(socket.Tentative, r)
	a.HandleRecord(socket.Final, r)
	require.Len(t, got, 1)
	next := fields()
	next.Seq = 2
	a.HandleRecord(socket.Final, record(next, getHead, plainOK))
	assert.Len(t, got, 2)
	assert.Empty(t, a.told)
}

// The server closed the connection and nobody saw its end.
func TestClosedConnectionWhoseEndIsNotSeen(t *testing.T) {
	var got sink
	a := newAssembler(t, got.take)
	f := fields()
	f.Closed = uint64(request.Now())
	r := record(f, getHead, plainOK)
	a.HandleRecord(socket.Tentative, r)
	a.Tick(time.Now())
	assert.Empty(t, got, "the end has its time")
	assert.Eventually(t, func() bool { a.Tick(time.Now()); return len(got) > 0 }, 5*time.Second, 10*time.Millisecond)
	assert.GreaterOrEqual(t, request.Now(), request.Stamp(f.Closed)+closingTime)
	a.HandleRecord(socket.Final, r)
	require.Len(t, got, 1, "an end that is seen late changes nothing")
	assert.Equal(t, "/shop/cart", string(got[0].Path))
	assert.Empty(t, a.closing.byConn)
	assert.Empty(t, a.told)
}

func TestClosedConnectionWhoseEndIsSeen(t *testing.T) {
	var got sink
	a := newAssembler(t, got.take)
	for range 3 {
		f := fields()
		f.Closed = uint64(request.Now())
		a.HandleRecord(socket.Tentative, record(f, getHead, plainOK))
		f.Acked = f.Closed + 1
		a.HandleRecord(socket.Final, record(f, getHead, plainOK))
	}
	a.Flush()
	require.Len(t, got, 3)
	assert.True(t, got[0].Acked.Seen())
	assert.Len(t, a.closing.free, 1, "room is used again")
}

func TestClosingsAreBounded(t *testing.T) {
	var got sink
	a := newAssembler(t, got.take)
	for i := range uint64(maxClosing + 100) {
		f := fields()
		f.Conn, f.Closed = i+1, 1
		a.HandleRecord(socket.Tentative, record(f, getHead, plainOK))
	}
	assert.Len(t, a.closing.byConn, maxClosing)
	a.Flush()
	assert.Len(t, got, maxClosing)
	assert.Empty(t, a.closing.byConn)
}

func TestTentativeRecordOfUnfinishedResponseWaits(t *testing.T) {
	var got sink
	a := newAssembler(t, got.take)
	a.HandleRecord(socket.Tentative, record(fields(), getHead, cutOK))
	assert.Empty(t, got)
}

// A server that writes its head line by line can lose its processor in between.
func TestPauseWithinTheResponseHeadIsNotItsEnd(t *testing.T) {
	var got sink
	a := newAssembler(t, got.take)
	begun := record(fields(), getHead, "HTTP/1.1 200 OK\r\n")
	a.HandleRecord(socket.Tentative, begun)
	assert.Empty(t, got)
	assert.False(t, Ended(begun))
	a.HandleRecord(socket.Final, record(fields(), getHead, plainOK))
	require.Len(t, got, 1)
	assert.Empty(t, got[0].Flags)

	// A head of which only the begin is kept does not tell.
	cut := fields()
	cut.Seq, cut.ResponseBytes = 2, 3000
	a.HandleRecord(socket.Tentative, record(cut, getHead, "HTTP/1.1 200 OK\r\n"))
	assert.Len(t, got, 2)
}

func TestCutResponseFailsOnceTheConnectionIsClosed(t *testing.T) {
	var got sink
	a := newAssembler(t, got.take)
	f := fields()
	f.Closed, f.Error = 7000, uint16(unix.ECONNRESET)
	a.HandleRecord(socket.Final, record(f, getHead, cutOK))
	require.Len(t, got, 1)
	assert.Equal(t, "connection_reset", got[0].Error)
	assert.EqualValues(t, 1, a.Counts().Incomplete)
}

func TestCutResponseIsHeldUntilTheConnectionGoesOn(t *testing.T) {
	var got sink
	a := newAssembler(t, got.take)
	a.HandleRecord(socket.Final, record(fields(), getHead, cutOK))
	assert.Empty(t, got, "an event-driven server may go on writing it")
	next := fields()
	next.Seq = 2
	a.HandleRecord(socket.Final, record(next, getHead, plainOK))
	require.Len(t, got, 2)
	assert.Equal(t, []uint32{1, 2}, []uint32{got[0].Seq, got[1].Seq})
	assert.Equal(t, "connection_closed", got[0].Error)
}

func TestNoResponseIsReportedWithWhatWasSeen(t *testing.T) {
	var got sink
	a := newAssembler(t, got.take)
	f := fields()
	f.WriteFirst, f.WriteLast, f.Acked, f.Closed = 0, 0, 0, 9000
	a.HandleRecord(socket.Final, record(f, getHead, ""))
	require.Len(t, got, 1)
	assert.Equal(t, "connection_closed", got[0].Error)
	_, ok := got[0].Duration()
	assert.False(t, ok)
	assert.True(t, got[0].Bounds().Known(request.Queue))
}

func TestServerErrorIsItsStatus(t *testing.T) {
	var got sink
	a := newAssembler(t, got.take)
	a.HandleRecord(socket.Final, record(fields(), getHead, badGate))
	require.Len(t, got, 1)
	assert.Equal(t, "502", got[0].Error)
	assert.Zero(t, a.Counts().Incomplete, "it has a complete response")
}

func TestUpgradeCountsAsTunnel(t *testing.T) {
	var got sink
	a := newAssembler(t, got.take)
	f := fields()
	f.Marks = socket.MarkUpgraded | socket.MarkResponding
	a.HandleRecord(socket.Final, record(f, getHead, switched))
	require.Len(t, got, 1)
	assert.Equal(t, []string{"upgraded"}, got[0].Flags.Names())
	assert.EqualValues(t, 1, a.Counts().Tunnels)
}

func TestUnknownProtocolIsCountedPerReason(t *testing.T) {
	var got sink
	a := newAssembler(t, got.take)
	f := fields()
	f.Error = uint16(socket.ReasonBytes)
	a.HandleRecord(socket.Unknown, record(f, "\x16\x03\x01\x02\x00\x01", ""))
	f.Error = uint16(socket.ReasonServerFirst)
	a.HandleRecord(socket.Unknown, record(f, "SSH-2.0-x", ""))
	assert.Empty(t, got)
	assert.Equal(t, map[string]uint64{"tls": 1, "server_spoke_first": 1}, a.Counts().Unknown)
}

func TestFilterLeavesOut(t *testing.T) {
	var got sink
	a := newAssembler(t, got.take)
	a.opts.Filter = &service.Filter{Ports: []uint16{9}}
	a.HandleRecord(socket.Final, record(fields(), getHead, plainOK))
	assert.Empty(t, got)
	assert.Zero(t, a.Counts().Requests)
}

func TestHotPathDoesNotAllocate(t *testing.T) {
	a := newAssembler(t, func(*request.Request) {})
	r := record(fields(), getHead, plainOK)
	a.HandleRecord(socket.Final, r)
	assert.Zero(t, testing.AllocsPerRun(100, func() { a.HandleRecord(socket.Final, r) }))
}

func BenchmarkFinal(b *testing.B) {
	a := newAssembler(b, func(*request.Request) {})
	r := record(fields(), getHead, plainOK)
	b.ReportAllocs()
	for b.Loop() {
		a.HandleRecord(socket.Final, r)
	}
}
