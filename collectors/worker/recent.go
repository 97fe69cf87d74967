package worker

import (
	"time"

	"lapwing/collectors/request"
)

// replacedWithin is the maximum time between the end of a worker and the start of
// another, in either order, for the one to count as replaced by the other.
const replacedWithin = request.Stamp(10 * time.Second)

// maxRecent limits how many starts or exits wait for their counterpart.
const maxRecent = 1024

// recent are the times of events that have no counterpart yet.
type recent []request.Stamp

func (r *recent) put(now request.Stamp) {
	if len(*r) < maxRecent {
		*r = append(*r, now)
	}
}

// take removes the oldest event that is not too old. It returns false if there is
// none.
func (r *recent) take(now request.Stamp) bool {
	old := 0
	for old < len(*r) && now-(*r)[old] > replacedWithin {
		old++
	}
	found := old < len(*r)
	if found {
		old++
	}
	*r = append((*r)[:0], (*r)[old:]...)
	return found
}
