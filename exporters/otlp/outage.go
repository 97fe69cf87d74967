package otlp

import (
	"log/slog"
	"sync"
	"time"

	"lapwing/collectors/text"
)

// outage reports the changes between working and failing, not every failure.
type outage struct {
	log  *slog.Logger
	what string // the signal: traces or metrics

	mu       sync.Mutex
	since    time.Time // zero while all is well
	refusing bool      // the receiver takes batches, but not all of them
}

// begin reports a failure, if the one before was a success.
func (o *outage) begin(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.since.IsZero() {
		o.since = time.Now()
		o.log.Warn("OTLP export fails", "signal", o.what, "error", shorten(err.Error()))
	}
}

// end reports a success, if the one before was a failure.
func (o *outage) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.since.IsZero() {
		o.log.Info("OTLP export works again", "signal", o.what, "outage", time.Since(o.since).Round(time.Millisecond))
		o.since = time.Time{}
	}
}

// complain reports that the receiver began to take batches only in part; an
// empty reason means that it took one whole.
func (o *outage) complain(reason string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if reason != "" && !o.refusing {
		o.log.Warn("OTLP receiver takes only a part", "signal", o.what, "reason", reason)
	}
	o.refusing = reason != ""
}

// maxMessage bounds what is logged of a receiver's answer, which can be a page
// of HTML.
const maxMessage = 300

func shorten(s string) string {
	return text.Name(s, maxMessage)
}
