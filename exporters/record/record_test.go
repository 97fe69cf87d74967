package record

import (
	"encoding/json"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/collectors/request"
)

func TestRecordLeavesOutWhatWasNotMeasured(t *testing.T) {
	r := &request.Request{
		Stamps: request.Stamps{Established: 50, Accepted: 250, Arrived: 100, ReadFirst: 300, ArrivedLast: 350,
			ReadLast: 400, WriteFirst: 900, WriteLast: 1000, Acked: 1100},
		Seq: 1, Method: "GET", Path: []byte("/a\"b\xff\x01"), Status: 200, PID: 7, TID: 8,
		Local: request.Endpoint{Addr: netip.MustParseAddrPort("127.0.0.1:80")},
		Peer:  request.Endpoint{IsUn: true, Unix: []byte("/run/x")},
	}
	var got map[string]any
	require.NoError(t, json.Unmarshal(Append(nil, r, request.NewClock()), &got))
	assert.Equal(t, "/a\"b\ufffd\x01", got["path"])
	assert.Equal(t, "127.0.0.1:80", got["local"])
	assert.Equal(t, "unix:/run/x", got["peer"])
	assert.EqualValues(t, 900, got["duration_ns"])
	assert.EqualValues(t, 100, got["drain_ns"])
	assert.EqualValues(t, 0, got["blocked_ns"], "measured, and zero")

	r.WriteFirst, r.WriteLast, r.Acked, r.Status = 0, 0, 0, 0
	got = nil
	require.NoError(t, json.Unmarshal(Append(nil, r, request.NewClock()), &got))
	for _, absent := range []string{"duration_ns", "app_ns", "write_back_ns", "blocked_ns", "drain_ns", "status", "response_bytes", "trace_id", "flags", "error"} {
		assert.NotContains(t, got, absent)
	}
	assert.Contains(t, got, "queue_ns")
}

func TestCallsInJSON(t *testing.T) {
	r := &request.Request{Calls: []*request.Call{
		{SpanID: [8]byte{1}, Start: 1000, Connected: 1200, GotLast: 3000, Protocol: "http/1.1", Method: "GET",
			Path: []byte("/a\"b"), Status: 200, RequestBytes: 5, ResponseBytes: 6, Peer: request.Endpoint{IsUn: true, Unix: []byte("/s")}},
		{SpanID: [8]byte{2}, Start: 4000, Closed: 4500, Error: request.ErrorNoConnection},
		{SpanID: [8]byte{3}, Start: 4000, GotLast: 4500, Ending: request.CallEndUnknown},
		{SpanID: [8]byte{4}, Start: 4000, GotLast: 4500, Ending: request.CallEndLastRead},
	}}
	var got struct{ Calls []map[string]any }
	require.NoError(t, json.Unmarshal(Append(nil, r, request.NewClock()), &got))
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
