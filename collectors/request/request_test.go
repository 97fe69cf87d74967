package request

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func whole() *Request {
	return &Request{
		Stamps: Stamps{Established: 50, Accepted: 250, Arrived: 100, ReadFirst: 300, ArrivedLast: 350,
			ReadLast: 400, WriteFirst: 900, WriteLast: 1000, Acked: 1100},
		Seq: 1, Method: "GET", Path: []byte("/a\"b\xff\x01"), Status: 200, PID: 7, TID: 8,
		Local: Endpoint{Addr: netip.MustParseAddrPort("127.0.0.1:80")},
		Peer:  Endpoint{IsUn: true, Unix: []byte("/run/x")},
	}
}

func TestPhasesAddUp(t *testing.T) {
	r := whole()
	p, ok := r.Phases()
	require.True(t, ok)
	assert.Equal(t, Phases{200, 100, 500, 100}, p)
	d, ok := r.Duration()
	require.True(t, ok)
	assert.Equal(t, d, p.Sum())
}

func TestPhasesNeverGoBack(t *testing.T) {
	r := whole()
	r.ReadFirst = 90 // the clock of another CPU, a microsecond slow
	p, ok := r.Phases()
	require.True(t, ok)
	assert.Equal(t, Phases{0, 300, 500, 100}, p)
}

func TestEarlyResponseHasNoApp(t *testing.T) {
	r := whole()
	r.Flags |= EarlyResponse
	r.ReadLast = 950
	p, ok := r.Phases()
	require.True(t, ok)
	assert.Equal(t, Phases{200, 600, 0, 100}, p)
}

func TestMarkerMovesTheBoundary(t *testing.T) {
	r := whole()
	r.Boundary, r.Marker = BoundaryMarker, 600
	p, _ := r.Phases()
	assert.Equal(t, Phases{200, 300, 300, 100}, p)
}

func TestAbsentStampsLeavePhasesOut(t *testing.T) {
	r := whole()
	r.WriteFirst, r.WriteLast = 0, 0
	p, ok := r.Phases()
	assert.False(t, ok)
	assert.Equal(t, Phases{200, 100, 0, 0}, p)
	b := r.Bounds()
	assert.True(t, b.Known(Parse))
	assert.False(t, b.Known(App))
	_, ok = r.Duration()
	assert.False(t, ok)
	r.Arrived = 0
	assert.False(t, r.Bounds().Known(Queue))
}

func TestQueueSplitsAtAccept(t *testing.T) {
	r := whole()
	backlog, ok := r.Backlog()
	require.True(t, ok)
	dispatch, ok := r.Dispatch()
	require.True(t, ok)
	assert.Equal(t, []time.Duration{150, 50}, []time.Duration{backlog, dispatch})

	r.Accepted = 60 // before the request arrived
	backlog, _ = r.Backlog()
	dispatch, _ = r.Dispatch()
	assert.Equal(t, []time.Duration{0, 200}, []time.Duration{backlog, dispatch})

	r.Seq = 2
	_, ok = r.Backlog()
	assert.False(t, ok, "only the first request of a connection can wait for accept")
	dispatch, _ = r.Dispatch()
	assert.EqualValues(t, 200, dispatch)

	r.Seq, r.Accepted = 1, 0
	_, ok = r.Backlog()
	assert.False(t, ok)
	_, ok = r.Dispatch()
	assert.False(t, ok)
}

func TestCloneSharesNothing(t *testing.T) {
	r := whole()
	c := r.Clone()
	r.Path[0], r.Peer.Unix[0] = 'X', 'X'
	assert.Equal(t, byte('/'), c.Path[0])
	assert.Equal(t, byte('/'), c.Peer.Unix[0])
}

func TestClockGivesWallTime(t *testing.T) {
	c := NewClock()
	assert.WithinDuration(t, time.Now(), c.Time(Now()), time.Second)
}

func TestEndpointOfMappedAddress(t *testing.T) {
	e := Endpoint{Addr: netip.MustParseAddrPort("[::ffff:127.0.0.1]:80")}
	assert.Equal(t, "127.0.0.1:80", e.String())
	assert.Equal(t, "[::1]:80", Endpoint{Addr: netip.MustParseAddrPort("[::1]:80")}.String())
}

func TestMarkerOfAnEarlyResponse(t *testing.T) {
	r := whole()
	r.Flags, r.Boundary, r.Marker = EarlyResponse, BoundaryMarker, 600
	p, _ := r.Phases()
	assert.Equal(t, Phases{200, 300, 300, 100}, p, "the application was called before it answered")
}
