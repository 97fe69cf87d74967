package load

import (
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// Bursts is when clients come: Size of them at the same moment, the next ones
// Every later, until there were Clients. It looks at the clock only, never at
// how far the server has got.
type Bursts struct {
	Size    int
	Every   time.Duration
	Clients int
}

var _ vegeta.Pacer = Bursts{}

// Pace implements vegeta.Pacer.
func (b Bursts) Pace(elapsed time.Duration, begun uint64) (wait time.Duration, stop bool) {
	if begun >= uint64(b.Clients) {
		return 0, true
	}
	due := time.Duration(begun/uint64(b.Size)) * b.Every
	return max(due-elapsed, 0), false
}

// Rate implements vegeta.Pacer: clients per second.
func (b Bursts) Rate(time.Duration) float64 { return float64(b.Size) / b.Every.Seconds() }
