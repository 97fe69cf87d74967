package worker

import (
	"time"

	"lapwing/collectors/request"
)

// replacedWithin is how far apart the end of a worker and the start of another
// may be for the one to replace the other, whichever comes first.
const replacedWithin = request.Stamp(10 * time.Second)

// maxRecent bounds how many starts or exits wait for their counterpart.
const maxRecent = 1024

// recent is when something happened that has no counterpart yet.
type recent []request.Stamp

func (r *recent) put(now request.Stamp) {
	if len(*r) < maxRecent {
		*r = append(*r, now)
	}
}

// take removes the oldest one that is not too old; false when there is none.
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
