package gateway

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"lapwing/collectors/protocol"
	"lapwing/collectors/request"
)

// What was read during the write of an interim response counts, because the
// response had not started.
func TestReadDuringAnInterimResponse(t *testing.T) {
	var x Exchange
	first := &protocol.Event{Kind: protocol.Read, Bytes: 10, Arrived: 1, ArrivedLast: 2, Exit: 3}
	x.Begin(request.Request{}, 1, first)
	x.AddRead(first, 10)
	x.AddWrite(&protocol.WriteCall{Enter: 4, Exit: 5}, 1, 12)
	x.AddRead(&protocol.Event{Kind: protocol.Read, Bytes: 20, ArrivedLast: 6, Exit: 7}, 20)
	assert.EqualValues(t, 3, x.R.ReadLast)
	x.dropInterim()
	assert.EqualValues(t, 6, x.R.ArrivedLast)
	assert.EqualValues(t, 7, x.R.ReadLast)
	assert.Zero(t, x.R.Flags&request.EarlyResponse)
}
