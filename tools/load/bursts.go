package load

import (
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// Bursts is the timetable of clients: Size of them come at the same moment, and
// the next ones Every later, until Clients have come. It depends only on the
// clock, never on the progress of the server.
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
