package e2e

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"lapwing/agent/e2e/harness"
	"lapwing/agent/e2e/peer"
	"lapwing/collectors/request"
)

// span is how long something took by the scripts' stamps: between least and
// most. They differ if stamps in user space cannot tell exactly.
type span struct{ least, most time.Duration }

func exactly(d time.Duration) span { return span{d, d} }

// amount computes a span from the stamps of a row.
type amount func(peer.Stamps) span

// nothing is the amount of what must not have happened.
func nothing(peer.Stamps) span { return span{} }

// from returns the time between two stamps, never negative.
func from(a, b int64) time.Duration { return time.Duration(max(b-a, 0)) }

// times checks the four phases and their parts.
func (o *observed) times(t *testing.T, w want, r harness.Record) {
	t.Helper()
	o.started(t, w, r)
	sent := o.first(t, w.sendLabel())
	readFirst, readLast := o.first(t, w.firstLabel()).After, o.last(t, w.readLabel()).After

	queue := span{from(sent.After, readFirst), from(sent.Before, readFirst)}
	o.near(t, w.path+" queue_ns", r.Queue, queue)
	o.queueParts(t, w, r, readFirst)
	if w.unanswered {
		o.near(t, w.path+" parse_ns", r.Parse, exactly(from(readFirst, readLast)))
		o.absent(t, w.path+" app_ns", r.App)
		o.absent(t, w.path+" duration_ns", r.Duration)
		return
	}
	writeFirst, writeLast := o.first(t, w.writeLabel()).Before, o.last(t, w.writeLabel()).After
	parseEnd := readLast
	if w.early {
		parseEnd = writeFirst
	}
	o.near(t, w.path+" parse_ns", r.Parse, exactly(from(readFirst, parseEnd)))
	o.near(t, w.path+" app_ns", r.App, exactly(from(parseEnd, writeFirst)))
	o.near(t, w.path+" write_back_ns", r.WriteBack, exactly(from(writeFirst, writeLast)))
	o.parts(t, w, r)
	if w.prompt {
		o.handedOut(t, w.path, r, writeLast)
	}
}

func (o *observed) queueParts(t *testing.T, w want, r harness.Record, readFirst int64) {
	t.Helper()
	sent := o.first(t, w.sendLabel())
	if w.unsplit && r.Backlog == nil && r.Dispatch == nil {
		return
	}
	if w.later {
		o.absent(t, w.path+" backlog_ns", r.Backlog)
		o.near(t, w.path+" dispatch_ns", r.Dispatch, span{from(sent.After, readFirst), from(sent.Before, readFirst)})
		return
	}
	accept := o.first(t, "accept"+w.conn).After
	o.near(t, w.path+" backlog_ns", r.Backlog, span{from(sent.After, accept), from(sent.Before, accept)})
	o.near(t, w.path+" dispatch_ns", r.Dispatch,
		span{from(max(accept, sent.After), readFirst), from(max(accept, sent.Before), readFirst)})
}

// readFirstIsLast reports whether a single call read the request.
func readFirstIsLast(s peer.Stamps, w want) bool {
	return w.firstLabel() == w.readLabel() && len(s.Labelled(w.readLabel())) == 1
}

func (o *observed) parts(t *testing.T, w want, r harness.Record) {
	t.Helper()
	if w.clientWait == nil && readFirstIsLast(o.stamps, w) {
		w.clientWait = nothing
	}
	if w.clientWait != nil {
		o.near(t, w.path+" client_wait_ns", r.ClientWait, w.clientWait(o.stamps))
	}
	if w.blocked == nil {
		w.blocked = nothing
	}
	o.near(t, w.path+" blocked_ns", r.Blocked, w.blocked(o.stamps))
	if w.produce == nil {
		w.produce = gaps(w.writeLabel())
	}
	o.near(t, w.path+" produce_ns", r.Produce, w.produce(o.stamps))
	switch {
	case o.address.Family == peer.Unix:
		o.absent(t, w.path+" drain_ns", r.Drain)
	case w.drain != nil:
		o.near(t, w.path+" drain_ns", r.Drain, w.drain(o.stamps))
	}
	o.within(t, w.path, r)
}

// within checks that no part is longer than its phase.
func (o observed) within(t *testing.T, path string, r harness.Record) {
	t.Helper()
	for _, p := range []struct {
		name  string
		parts int64
		phase *int64
	}{
		{"backlog and dispatch", value(r.Backlog) + value(r.Dispatch), r.Queue},
		{"client_wait", value(r.ClientWait), r.Parse},
		{"blocked and produce", value(r.Blocked) + value(r.Produce), r.WriteBack},
	} {
		assert.LessOrEqual(t, p.parts, value(p.phase), "%s: %s, in ns of a phase", path, p.name)
	}
}

// near checks a duration against the scripts: within 1 ms and 2 %, plus the
// possible delay of the scripts' own stamps.
func (o *observed) near(t *testing.T, what string, got *int64, want span) {
	t.Helper()
	if !assert.NotNil(t, got, "%s is missing, want %s", what, want) {
		return
	}
	d := time.Duration(*got)
	latitude := harness.Slow(time.Millisecond) + o.noise
	if d < want.least-want.least/50-latitude || d > want.most+want.most/50+latitude {
		o.disagree("%s is %s, want %s (noise %s)", what, d, want, o.noise)
	}
}

// handedOut checks how long the agent held back a finished request.
func (o *observed) handedOut(t *testing.T, path string, r harness.Record, finished int64) {
	t.Helper()
	kept := r.Printed.Sub(request.NewClock().Time(request.Stamp(finished)))
	if limit := handOut(); kept > limit {
		o.disagree("%s was printed %s after its last byte, want at most %s", path, kept, limit)
	}
}

func (o observed) absent(t *testing.T, what string, got *int64) {
	t.Helper()
	assert.Nil(t, got, "%s is %s, and should have been left out", what, time.Duration(value(got)))
}

func (s span) String() string {
	if s.least == s.most {
		return s.least.String()
	}
	return s.least.String() + " to " + s.most.String()
}

// gaps returns the time between the calls of a label.
func gaps(label string) amount {
	return func(s peer.Stamps) span { return exactly(s.Gaps(label)) }
}

// waits returns the time that a server waited for a client that sent its
// request in as many pieces as the server made reads.
func waits(send, read string) amount {
	return func(s peer.Stamps) span {
		sends, reads := s.Labelled(send), s.Labelled(read)
		var total span
		for i := 1; i < min(len(sends), len(reads)); i++ {
			total.least += from(reads[i-1].After, sends[i].Before)
			total.most += from(reads[i-1].After, sends[i].After)
		}
		return total
	}
}

// between returns the time from the return of one labelled call to the start of
// another, or at most to its return.
func between(a, b string) amount {
	return func(s peer.Stamps) span {
		first, _ := s.First(a)
		last, _ := s.First(b)
		return span{from(first.After, last.Before), from(first.After, last.After)}
	}
}

func itoa(n int) string { return strconv.Itoa(n) }

func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }
