package assemble

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/collectors/protocol/protocoltest"
	"lapwing/collectors/request"
	"lapwing/probes/socket/wire"
)

// script plays the events of the connection that fields describes.
type script struct {
	*Assembler
	number uint32
	at     uint64
}

func (s *script) play(kind wire.Kind, data string) {
	s.number++
	s.at += 1000
	s.HandleEvent(wire.ComposeEvent(wire.EventFields{
		Conn: 7, Number: s.number, Enter: s.at, Exit: s.at + 500, Arrived: s.at, ArrivedLast: s.at, Pid: 1, Tid: 1,
	}, kind, []byte(data)))
}

// opened starts a connection of which the kernel reports each read and write. head
// is what was read before.
func opened(t *testing.T, got *sink, head string) *script {
	s := &script{Assembler: newAssembler(t, got.take)}
	f := fields()
	f.Seq, f.RequestBytes = 0, uint64(len(head))
	if head != "" {
		f.Seq, f.Marks = 1, wire.MarkGuess
	}
	s.HandleRecord(wire.Opened, record(f, head, ""))
	return s
}

const answer = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"

func TestProtocolIsToldByTheBytes(t *testing.T) {
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	vars := protocoltest.Get("/shop").With("HTTP_TRACEPARENT", parent)
	for protocol, bytes := range map[string]string{
		"uwsgi": vars.UWSGI(), "scgi": vars.SCGI(), "mod_wsgi": vars.ModWSGI(), "passenger": vars.Passenger(),
	} {
		for _, before := range []int{0, 4, 8} {
			var got sink
			s := opened(t, &got, bytes[:before])
			s.play(wire.Read, bytes[before:])
			s.play(wire.Write, answer)
			s.play(wire.Close, "")
			require.Len(t, got, 1, protocol)
			r := got[0]
			assert.Equal(t, protocol, r.Protocol)
			assert.Equal(t, "GET /shop 404", r.Method+" "+string(r.Path)+" 404")
			assert.Equal(t, 404, r.Status)
			assert.EqualValues(t, 1, r.Seq)
			assert.EqualValues(t, len(bytes), r.RequestBytes)
			assert.Equal(t, "127.0.0.1:8080", r.Local.String())
			assert.Equal(t, byte(0x4b), r.TraceID[0], "the client's trace goes on")
			if before > 0 {
				assert.Equal(t, request.Stamp(1200), r.Arrived)
				assert.Equal(t, request.Stamp(2000), r.ReadFirst)
			}
			assert.Empty(t, s.Counts().Unknown)
			assert.Empty(t, s.conns.byID)
		}
	}
}

func TestPipelinedHTTPIsTold(t *testing.T) {
	var got sink
	s := opened(t, &got, "")
	s.play(wire.Read, getHead+getHead)
	s.play(wire.Write, answer+answer)
	require.Len(t, got, 2)
	assert.Equal(t, "http/1.1", got[1].Protocol)
	assert.EqualValues(t, 2, got[1].Seq)
}

func TestMissingEventsMakeNoRequest(t *testing.T) {
	var got sink
	s := opened(t, &got, "")
	s.play(wire.Read, protocoltest.Get("/").UWSGI())
	s.number++
	s.play(wire.Write, answer)
	s.play(wire.Close, "")
	assert.Empty(t, got)
	counts := s.Counts()
	assert.EqualValues(t, 1, counts.LostEvents)
	assert.EqualValues(t, 1, counts.Desynced)
}

func TestWhatIsNoProtocolIsCountedOnce(t *testing.T) {
	var got sink
	s := opened(t, &got, "")
	s.play(wire.Read, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
	s.play(wire.Write, answer)
	s.play(wire.Read, getHead)
	s.play(wire.Close, "")
	assert.Empty(t, got)
	assert.Equal(t, map[string]uint64{"tls": 1}, s.Counts().Unknown)
}

func TestTruncatedFrameIsCounted(t *testing.T) {
	var got sink
	s := opened(t, &got, "")
	s.play(wire.Read, protocoltest.Get("/").UWSGI()[:40])
	s.play(wire.Close, "")
	assert.Empty(t, got)
	assert.Equal(t, map[string]uint64{"uwsgi_truncated": 1}, s.Counts().Unknown)
}

// A read returned a request and the start of another one, which arrived later.
func TestReadIsTakenApartByArrival(t *testing.T) {
	data := []byte(getHead + getHead)
	f := wire.EventFields{Number: 2, Arrived: 100, ArrivedLast: 300, Exit: 400, Wait: 7, PiecesLen: 2}
	f.Pieces[0].Offset, f.Pieces[0].At = uint32(len(getHead)), 200
	f.Pieces[1].Offset, f.Pieces[1].At = uint32(len(getHead))+4, 300
	e := wire.ComposeEvent(f, wire.Read, data)
	var got []string
	for ev := range pieces(e, newAssembler(t, nil).translate(e)) {
		got = append(got, fmt.Sprintf("%d-%d %d %q", ev.Arrived, ev.ArrivedLast, ev.Wait, ev.Data))
		assert.EqualValues(t, len(ev.Data), ev.Bytes)
		assert.EqualValues(t, 400, ev.Exit)
	}
	assert.Equal(t, []string{
		fmt.Sprintf("100-100 7 %q", getHead), `200-200 0 "GET "`, fmt.Sprintf("300-300 0 %q", getHead[4:]),
	}, got)

	f.PiecesLen = 255
	e = wire.ComposeEvent(f, wire.Read, data)
	got = nil
	for ev := range pieces(e, newAssembler(t, nil).translate(e)) {
		got = append(got, fmt.Sprintf("%d-%d %d", ev.Arrived, ev.ArrivedLast, ev.Bytes))
	}
	assert.Equal(t, []string{"100-100 1", fmt.Sprintf("0-0 %d", len(data)-1)}, got, "only the first byte's arrival is known")
}
