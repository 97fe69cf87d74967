package protocol

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"lapwing/collectors/request"
)

// TestMarkerGoesToTheFirstResponseOfItsWrite checks that the marker of a write with
// two responses belongs to the first one. A marker outside of the request is
// ignored.
func TestMarkerGoesToTheFirstResponseOfItsWrite(t *testing.T) {
	for name, tt := range map[string]struct {
		marker request.Stamp
		want   request.Boundary
	}{
		"between read and write": {150, request.BoundaryMarker},
		"before the read":        {99, request.BoundarySyscall},
		"after the write":        {201, request.BoundarySyscall},
		"none":                   {0, request.BoundarySyscall},
	} {
		call := CallOf(&Event{Enter: 200, Exit: 210, Marker: tt.marker})
		var first, second Writes
		first.Add(&call, 1, 10)
		second.Add(&call, 1, 10)
		var one, two request.Request
		one.ReadFirst, two.ReadFirst = 100, 100
		first.Respond(&one)
		second.Respond(&two)
		assert.Equal(t, tt.want, one.Boundary, name)
		assert.Equal(t, request.BoundarySyscall, two.Boundary, name)
		assert.Zero(t, two.Marker, name)
	}
}
