package worker

import (
	"time"

	"lapwing/collectors/request"
)

// ends counts the requests that ended recently, by the time of their end. They
// become known a little later and in another order.
type ends [32]struct {
	slot uint64
	n    uint64
}

const endSlot = uint64(100 * time.Millisecond)

func (e *ends) add(at request.Stamp) {
	slot := uint64(at) / endSlot
	b := &e[slot%uint64(len(e))]
	if b.slot != slot {
		b.slot, b.n = slot, 0
	}
	b.n++
}

// after returns how many requests ended after a moment, to a tenth of a second.
func (e *ends) after(at request.Stamp) (n uint64) {
	for i := range e {
		if e[i].slot > uint64(at)/endSlot {
			n += e[i].n
		}
	}
	return n
}
