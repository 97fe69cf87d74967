package request

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCallsInJSON(t *testing.T) {
	r := &Request{Calls: []*Call{
		{SpanID: [8]byte{1}, Start: 1000, Connected: 1200, GotLast: 3000, Protocol: "http/1.1", Method: "GET",
			Path: []byte("/a\"b"), Status: 200, RequestBytes: 5, ResponseBytes: 6, Peer: Endpoint{IsUn: true, Unix: []byte("/s")}},
		{SpanID: [8]byte{2}, Start: 4000, Closed: 4500, Error: ErrorNoConnection},
		{SpanID: [8]byte{3}, Start: 4000, GotLast: 4500, Ending: CallEndUnknown},
		{SpanID: [8]byte{4}, Start: 4000, GotLast: 4500, Ending: CallEndLastRead},
	}}
	var got struct{ Calls []map[string]any }
	require.NoError(t, json.Unmarshal(r.AppendJSON(nil, NewClock()), &got))
	require.Len(t, got.Calls, 4)
	for _, c := range got.Calls {
		assert.NotEmpty(t, c["start"])
		delete(c, "start")
	}
	assert.Equal(t, map[string]any{
		"span_id": "0100000000000000", "duration_ns": 2000.0, "connect_ns": 200.0, "peer": "unix:/s", "protocol": "http/1.1",
		"method": "GET", "path": "/a\"b", "status": 200.0, "request_bytes": 5.0, "response_bytes": 6.0,
	}, got.Calls[0])
	assert.Equal(t, map[string]any{
		"span_id": "0200000000000000", "duration_ns": 500.0, "request_bytes": 0.0, "response_bytes": 0.0, "error": "connection_refused",
	}, got.Calls[1])
	assert.Equal(t, map[string]any{"span_id": "0300000000000000", "end": "unknown", "request_bytes": 0.0, "response_bytes": 0.0}, got.Calls[2])
	assert.Equal(t, map[string]any{
		"span_id": "0400000000000000", "duration_ns": 500.0, "end": "last_read", "request_bytes": 0.0, "response_bytes": 0.0,
	}, got.Calls[3])
}

func TestEndOfACall(t *testing.T) {
	assert.Equal(t, Stamp(9), (&Call{Start: 1, SentLast: 5, GotLast: 9, Closed: 20}).End(), "the answer, not the close")
	assert.Equal(t, Stamp(20), (&Call{Start: 1, SentLast: 5, Closed: 20}).End())
	assert.True(t, (&Call{Status: 404}).Failed())
	assert.False(t, (&Call{Status: 302}).Failed())
}
