package otlp

import (
	"log/slog"
	"sync"
	"time"

	"lapwing/collectors/text"
)

// outage reports changes between working and failing, not every failure.
type outage struct {
	log  *slog.Logger
	what string // the signal: traces or metrics

	mu       sync.Mutex
	since    time.Time // zero while uploads work
	refusing bool      // the receiver accepts batches, but not completely
}

// begin reports a failure, unless one is already reported.
func (o *outage) begin(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.since.IsZero() {
		o.since = time.Now()
		o.log.Warn("OTLP export fails", "signal", o.what, "error", shorten(err.Error()))
	}
}

// end reports a success after a failure.
func (o *outage) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.since.IsZero() {
		o.log.Info("OTLP export works again", "signal", o.what, "outage", time.Since(o.since).Round(time.Millisecond))
		o.since = time.Time{}
	}
}

// complain reports that the receiver accepts batches only in part. An empty
// reason means that it accepted a batch completely.
func (o *outage) complain(reason string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if reason != "" && !o.refusing {
		o.log.Warn("OTLP receiver takes only a part", "signal", o.what, "reason", reason)
	}
	o.refusing = reason != ""
}

// maxMessage limits how much is logged of a receiver's response, which can be a
// page of HTML. In bytes.
const maxMessage = 300

func shorten(s string) string {
	return text.Name(s, maxMessage)
}
