package request

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAssignIDsKeepsWhatIsThere(t *testing.T) {
	r := new(Request)
	AssignIDs(r)
	require.NotZero(t, r.TraceID)
	require.NotZero(t, r.SpanID)
	before := *r
	AssignIDs(r)
	assert.Equal(t, before.TraceID, r.TraceID)
	assert.Equal(t, before.SpanID, r.SpanID)
	child := &Request{TraceID: [16]byte{9}, ParentSpanID: [8]byte{8}}
	AssignIDs(child)
	assert.Equal(t, [16]byte{9}, child.TraceID, "the incoming context")
	assert.Equal(t, [8]byte{8}, child.ParentSpanID, "the incoming context")
	assert.NotZero(t, child.SpanID)
}
