package framing

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
	"lapwing/agent/e2e/peer"
	"lapwing/collectors/request"
)

// played is what is known about a row after it was played.
type played struct {
	t       *testing.T
	address peer.Address
	stamps  peer.Stamps
	noise   time.Duration // how long the threads of the scripts waited for a CPU
	records []harness.Record

	// absent counts the requests whose arrival no probe saw, and which have no
	// times. The documentation describes when that happens.
	absent *atomic.Int64
}

// latitude returns how much longer than by the scripts' stamps something may
// appear.
func (p played) latitude(d time.Duration) time.Duration {
	return harness.Slow(max(ms(20), d/20)) + p.noise
}

// little is how much shorter it may appear. An event in the kernel is between
// the stamps around the call, so only the clocks can differ.
const little = time.Millisecond

// judge compares the records with the exchanges, which must be printed in
// order.
func (p played) judge(talk []exchange) {
	p.t.Helper()
	assert.Equal(p.t, len(talk), len(p.records), "records")
	last := -1
	for i, x := range talk {
		method, path := x.asked()
		at := slices.IndexFunc(p.records, func(r harness.Record) bool { return r.Path == path && r.Method == method })
		if !assert.True(p.t, at >= 0, "no record of %s %s", method, path) {
			continue
		}
		assert.GreaterOrEqual(p.t, at, last, "%s was printed before the request that came before it", path)
		last = at
		p.facts(number(i), path, x, p.records[at])
		p.times(number(i), path, x, p.records[at])
	}
	if p.t.Failed() {
		p.t.Logf("what the scripts did:\n%s", p.stamps)
		for _, r := range p.records {
			p.t.Logf("printed: %s", r.Line)
		}
	}
}

// facts checks everything except times.
func (p played) facts(n, path string, x exchange, r harness.Record) {
	p.t.Helper()
	protocol := x.protocol
	if protocol == "" {
		protocol = "http/1.1"
	}
	assert.Equal(p.t, protocol, r.Protocol, "%s: protocol", path)
	if !x.unknown || r.Status != 0 {
		assert.Equal(p.t, x.status, r.Status, "%s: status", path)
	}
	assert.Equal(p.t, x.failed || x.status >= 500, r.Error != "", "%s: failed", path)
	if x.requested >= 0 {
		assert.Equal(p.t, uint64(orLabel(x.requested, p.stamps, "read"+n)), value(r.RequestBytes), "%s: request_bytes", path)
	}
	if x.answered >= 0 {
		assert.Equal(p.t, uint64(orLabel(x.answered, p.stamps, "write"+n)), value(r.ResponseBytes), "%s: response_bytes", path)
	}
	for _, flag := range []string{"early_response", "pipelined", "continued", "upgraded", "orphan"} {
		switch wanted := slices.Contains(x.flags, flag); {
		case flag == "continued" && x.answered != 0: // there are interim responses
		case flag == "pipelined" && !wanted && p.address.Family == peer.Unix:
			// The client can be faster than the hook that sees the write.
		default:
			assert.Equal(p.t, wanted, r.Has(flag), "%s: flag %s", path, flag)
		}
	}
	if x.trace != "" {
		assert.Equal(p.t, x.trace, r.TraceID, "%s: trace_id", path)
		assert.Equal(p.t, x.span, r.ParentSpanID, "%s: parent_span_id", path)
	}
}

func orLabel(n int, s peer.Stamps, label string) int {
	if n != 0 {
		return n
	}
	return s.Bytes(label)
}

// times checks the duration, the phases and the parts of write_back.
func (p played) times(n, path string, x exchange, r harness.Record) {
	p.t.Helper()
	sendLabel, readLabel, writeLabel := x.labels(n)
	send, sent := p.ends(sendLabel)
	readFirst, readLast := p.ends(readLabel)
	writeFirst, writeLast := p.ends(writeLabel)
	printed := request.NewClock().Time(request.Stamp(writeLast.Before))
	assert.False(p.t, r.Printed.Before(printed), "%s was printed %s before its last write", path, printed.Sub(r.Printed))
	switch {
	case x.unknown && r.Duration == nil:
		return
	case r.Start == "":
		p.absent.Add(1)
		return
	}
	end := writeLast.After
	if x.endless {
		end = p.end(n)
	}
	p.near(path+" duration_ns", r.Duration, span(send.After, writeLast.Before), span(send.Before, end))
	p.near(path+" queue_ns", r.Queue, span(send.After, readFirst.Before), span(send.Before, readFirst.After))
	parsed, parsedLate := max(readLast.Before, sent.Before), readLast.After
	if x.early {
		parsed, parsedLate = writeFirst.Before, writeFirst.After
		p.near(path+" app_ns", r.App, 0, 0)
	} else {
		p.near(path+" app_ns", r.App, span(readLast.After, writeFirst.Before), span(parsed, writeFirst.After))
	}
	p.near(path+" parse_ns", r.Parse, span(readFirst.After, parsed), span(max(readFirst.Before, send.Before), parsedLate))
	p.near(path+" write_back_ns", r.WriteBack, span(writeFirst.After, writeLast.Before), span(writeFirst.Before, end))
	p.writing(n, path, x, r)
}

// end returns the latest end of a response that nothing else ends.
func (p played) end(n string) int64 {
	if next, ok := p.stamps.First("send" + number(int(n[0]-'0'))); ok {
		return next.After
	}
	_, closed := p.ends("close")
	return closed.After
}

// writing checks what delayed the response: the server or its client.
func (p played) writing(n, path string, x exchange, r harness.Record) {
	p.t.Helper()
	wrote, blocked, produce := duration(r.WriteBack), duration(r.Blocked), duration(r.Produce)
	if x.blocked {
		least := x.slowest
		if least == 0 {
			least = 0.8
		}
		assert.True(p.t, float64(blocked) >= least*float64(wrote) && produce <= wrote/10,
			"%s: of a write_back of %s %s are blocked and %s produce: the client was slow", path, wrote, blocked, produce)
		return
	}
	paused := p.stamps.Gaps("write" + n)
	if x.endless {
		p.near(path+" produce_ns", r.Produce, paused, wrote)
	} else {
		p.near(path+" produce_ns", r.Produce, paused, p.widest("write"+n))
	}
	p.near(path+" blocked_ns", r.Blocked, 0, 0)
	assert.Equal(p.t, produce >= ms(1), r.Has("streamed"), "%s: flag streamed", path)
}

// widest returns the longest possible time between the calls of a label: a
// script can lose its CPU between a call and its stamps.
func (p played) widest(label string) (d time.Duration) {
	calls := p.stamps.Labelled(label)
	for i := 1; i < len(calls); i++ {
		d += span(calls[i-1].Before, calls[i].After)
	}
	return d
}

// ends returns the first and the last stamp of a label.
func (p played) ends(label string) (first, last peer.Stamp) {
	p.t.Helper()
	first, ok := p.stamps.First(label)
	require.True(p.t, ok, "the scripts left no stamp %q:\n%s", label, p.stamps)
	last, _ = p.stamps.Last(label)
	return first, last
}

// near checks that a time is between least and most.
func (p played) near(what string, got *int64, least, most time.Duration) {
	p.t.Helper()
	if !assert.NotNil(p.t, got, "%s is absent, want %s to %s", what, least, most) {
		return
	}
	d := time.Duration(*got)
	assert.True(p.t, d >= least-little && d <= most+p.latitude(most), "%s is %s, want %s to %s", what, d, least, most)
}

func span(from, to int64) time.Duration { return time.Duration(max(to-from, 0)) }

func duration(p *int64) time.Duration { return time.Duration(value(p)) }

// value returns the value of a field, or zero if it was left out.
func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// nothingLost checks the agent's account of itself. Connections that the agent
// does not recognise as HTTP are counted for the whole machine. If one of a row
// is among them, its records are missing.
func nothingLost(t *testing.T, trace *harness.Trace) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(trace.Stderr()), "\n")
	assert.Contains(t, lines[len(lines)-1], ", 0 lost", "the agent lost something")
}
