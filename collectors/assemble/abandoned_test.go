package assemble

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/collectors/request"
	"lapwing/probes/socket/wire"
)

func abandonedRecord(reason wire.Reason, bytes uint64) wire.Record {
	f := fields()
	f.ReadFirst, f.ReadLast, f.WriteFirst, f.WriteLast, f.Acked, f.Closed = 0, 0, 0, 0, 0, 9000
	f.Error = uint16(reason)
	f.RequestBytes = bytes
	return wire.Compose(f, nil, nil, nil)
}

// A connection that was never read is counted. It is an error if a client had sent
// a request.
func TestAbandonedConnection(t *testing.T) {
	var got sink
	a := newAssembler(t, got.take)
	a.HandleRecord(wire.Abandoned, abandonedRecord(wire.AbandonedUnread, 40))
	a.HandleRecord(wire.Abandoned, abandonedRecord(wire.AbandonedBacklog, 40))
	a.HandleRecord(wire.Abandoned, abandonedRecord(wire.AbandonedBacklog, 0))
	a.HandleRecord(wire.Abandoned, abandonedRecord(wire.AbandonedReset, 40))
	assert.Equal(t, map[string]map[string]uint64{
		"127.0.0.1:8080": {"not_read": 1, "not_accepted": 2, "client_reset": 1},
	}, a.Counts().Abandoned)
	require.Len(t, got, 3)
	for _, r := range got {
		assert.Equal(t, request.ErrorAbandoned, r.Error)
		assert.NotEmpty(t, r.Service)
		_, known := r.Duration()
		assert.False(t, known, "nothing was answered")
	}
}

func TestAbandonedListenersAreBounded(t *testing.T) {
	a := newAssembler(t, func(*request.Request) {})
	for port := range 2 * maxListeners {
		r := abandonedRecord(wire.AbandonedBacklog, 0)
		r.LocalPort = uint16(port + 1)
		a.HandleRecord(wire.Abandoned, r)
	}
	counts := a.Counts().Abandoned
	assert.Len(t, counts, maxListeners+1)
	assert.EqualValues(t, maxListeners, counts[otherListeners]["not_accepted"])
}
