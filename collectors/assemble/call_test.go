package assemble

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"lapwing/collectors/request"
	"lapwing/probes/socket"
)

func callFields() socket.RecordFields {
	return socket.RecordFields{
		Conn: 5, Seq: 1, Family: unix.AF_INET, LocalPort: 40000, PeerPort: 8080,
		Local: [16]uint8{127, 0, 0, 1}, Peer: [16]uint8{127, 0, 0, 2},
		Accepted: 1000, Established: 1100, WriteFirst: 1200, WriteLast: 1300, ReadFirst: 2000, ReadLast: 2100,
		RequestBytes: 90, Cause: 7, CauseSeq: 3, Caller: 4, CallerSeq: 2,
		Evidence: socket.EvidenceAlone | socket.EvidenceSole, Pid: 10, Tid: 11,
	}
}

// callOf is what becomes of a record of a call.
func callOf(t *testing.T, r socket.Record) *request.Call {
	var got *request.Call
	a := newAssembler(t, func(*request.Request) { t.Error("a call is no request") })
	a.opts.Call = func(c *request.Call) { got = c }
	a.HandleRecord(socket.Call, r)
	require.NotNil(t, got)
	return got
}

func TestCall(t *testing.T) {
	c := callOf(t, record(callFields(), getHead, badGate))
	assert.Equal(t, request.CallLinks{
		ID: request.Ref{Conn: 5, Seq: 1}, For: request.Ref{Conn: 7, Seq: 3}, After: request.Ref{Conn: 4, Seq: 2},
		Evidence: request.EvidenceAlone | request.EvidenceSole,
	}, c.Links)
	assert.Equal(t, []request.Stamp{1000, 1100, 1200, 2100}, []request.Stamp{c.Start, c.Connected, c.SentFirst, c.End()})
	assert.Equal(t, "127.0.0.2:8080", c.Peer.String())
	assert.Equal(t, []any{"http/1.1", "GET", "/shop/cart", 502}, []any{c.Protocol, c.Method, string(c.Path), c.Status})
	assert.Empty(t, c.Error)
	assert.True(t, c.Failed())
}

func TestCallOnAKeptConnectionBeginsWithItsWrite(t *testing.T) {
	f := callFields()
	f.Seq = 2
	c := callOf(t, record(f, "\x01\x02not http", ""))
	assert.Equal(t, request.Stamp(1200), c.Start)
	assert.False(t, c.Connected.Seen())
	assert.Empty(t, c.Protocol)
}

func TestCallThatWasRefused(t *testing.T) {
	f := callFields()
	f.Established, f.WriteFirst, f.WriteLast, f.ReadFirst, f.ReadLast = 0, 0, 0, 0, 0
	f.Closed, f.Error = 1500, uint16(unix.ECONNREFUSED)
	c := callOf(t, record(f, "", ""))
	assert.Equal(t, "connection_refused", c.Error)
	assert.Equal(t, request.Stamp(1500), c.End())
}
