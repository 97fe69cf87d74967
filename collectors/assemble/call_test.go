package assemble

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"lapwing/collectors/request"
	"lapwing/probes/socket/wire"
)

func callFields() wire.RecordFields {
	return wire.RecordFields{
		Conn: 5, Seq: 1, Family: unix.AF_INET, LocalPort: 40000, PeerPort: 8080,
		Local: [16]uint8{127, 0, 0, 1}, Peer: [16]uint8{127, 0, 0, 2},
		Accepted: 1000, Established: 1100, WriteFirst: 1200, WriteLast: 1300, ReadFirst: 2000, ReadLast: 2100,
		RequestBytes: 90, Cause: 7, CauseSeq: 3, Caller: 4, CallerSeq: 2,
		Evidence: wire.EvidenceAlone | wire.EvidenceSole, Pid: 10, Tid: 11,
		WriterTid: 11, Marker: 7, ClientWait: 3, Produce: uint64(wire.EvidenceAlone), AcceptorTid: 2,
	}
}

// callOf returns the call that an Assembler makes of a record.
func callOf(t *testing.T, r wire.Record) *request.Call {
	var got *request.Call
	a := newAssembler(t, func(*request.Request) { assert.Fail(t, "a call is no request") })
	a.opts.Call = func(c *request.Call) { got = c }
	a.HandleRecord(wire.Call, r)
	require.NotNil(t, got)
	return got
}

func TestCall(t *testing.T) {
	f := callFields()
	f.Out.Status = 502
	c := callOf(t, record(f, getHead, ""))
	assert.Equal(t, request.FitBoth, request.NewClue([]byte(getHead)).Fits(c.Links.Clue, netip.Addr{}))
	c.Links.Clue = nil
	assert.Equal(t, request.CallLinks{
		ID: request.Ref{Conn: 5, Seq: 1}, For: request.Ref{Conn: 7, Seq: 3}, After: request.Ref{Conn: 4, Seq: 2},
		Evidence: request.EvidenceAlone | request.EvidenceSole,
		Used:     request.Ref{Conn: 7, Seq: 3}, UseEvidence: request.EvidenceAlone, Open: 2,
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

// TestCallOnAConnectionOpenedInAdvance checks that a call belongs to the thread
// that first wrote, if this thread reads requests itself.
func TestCallOnAConnectionOpenedInAdvance(t *testing.T) {
	f := callFields()
	f.WriterTid, f.Marker, f.ClientWait, f.Produce = 12, 8, 1, uint64(wire.EvidenceOnly)
	c := callOf(t, record(f, getHead, badGate))
	assert.Equal(t, []any{request.Ref{Conn: 8, Seq: 1}, request.EvidenceOnly, uint32(12)}, []any{c.Links.For, c.Links.Evidence, c.TID})
	assert.Equal(t, []request.Stamp{1200, 0}, []request.Stamp{c.Start, c.Connected}, "it waited for nobody")

	f.WriterTid, f.Produce = 11, uint64(wire.EvidenceCounted)
	c = callOf(t, record(f, getHead, badGate))
	assert.Equal(t, []request.Ref{{Conn: 7, Seq: 3}, {Conn: 8, Seq: 1}}, []request.Ref{c.Links.For, c.Links.Used}, "the same thread names two")
}

// TestEndOfACall checks that a call that is reported before it is over has an end
// only if the framing or the close shows it.
func TestEndOfACall(t *testing.T) {
	for name, c := range map[string]struct {
		end    wire.End
		marks  uint16
		closed uint64
		errno  unix.Errno
		head   string
		want   request.CallEnd
		due    bool
		error  string
	}{
		"complete":                   {end: wire.EndSeen},
		"complete, the request not":  {end: wire.EndSeen, marks: wire.MarkSoFar},
		"paused":                     {end: wire.EndOpen, marks: wire.MarkSoFar, want: request.CallEndUnknown, due: true},
		"until the close":            {end: wire.EndClose, closed: 3000},
		"until the close, before it": {end: wire.EndClose, marks: wire.MarkSoFar, want: request.CallEndUnknown, due: true},
		"broken off":                 {end: wire.EndOpen, closed: 3000, error: "connection_closed"},
		"broken off, not quite over": {end: wire.EndOpen, marks: wire.MarkSoFar, closed: 3000, error: "connection_closed"},
		"reset":                      {end: wire.EndClose, closed: 3000, errno: unix.ECONNRESET, error: "connection_reset"},
		"not to be framed":           {end: wire.EndUnknown, marks: wire.MarkSoFar, want: request.CallEndUnknown},
		"not to be framed, the next": {end: wire.EndUnknown},
		"pipelined":                  {end: wire.EndUnknown, marks: wire.MarkPipelined, want: request.CallEndUnknown},
		"another protocol":           {end: wire.EndUnknown, marks: wire.MarkSoFar, head: "*1\r\n$4\r\nPING\r\n", want: request.CallEndLastRead},
		"another one, the next":      {end: wire.EndUnknown, head: "*1\r\n$4\r\nPING\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			f := callFields()
			f.Marks, f.Closed, f.Error = c.marks|wire.MarkReported, c.closed, uint16(c.errno)
			head := c.head
			if head == "" {
				head = getHead
			}
			got := callOf(t, recordOf(f, head, "", c.end))
			assert.Equal(t, c.want, got.Ending)
			assert.Equal(t, c.due, got.Links.UnderWay)
			assert.Equal(t, c.error, got.Error)
			assert.True(t, got.Links.Again)
		})
	}
}
