package framing

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

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
	if len(p.records) != len(talk) {
		p.t.Errorf("%d records, want %d", len(p.records), len(talk))
	}
	last := -1
	for i, x := range talk {
		method, path := x.asked()
		at := slices.IndexFunc(p.records, func(r harness.Record) bool { return r.Path == path && r.Method == method })
		if at < 0 {
			p.t.Errorf("no record of %s %s", method, path)
			continue
		}
		if at < last {
			p.t.Errorf("%s was printed before the request that came before it", path)
		}
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
	equal(p.t, path+" protocol", r.Protocol, protocol)
	if !x.unknown || r.Status != 0 {
		equal(p.t, path+" status", r.Status, x.status)
	}
	equal(p.t, path+" failed", r.Error != "", x.failed || x.status >= 500)
	if x.requested >= 0 {
		equal(p.t, path+" request_bytes", value(r.RequestBytes), uint64(orLabel(x.requested, p.stamps, "read"+n)))
	}
	if x.answered >= 0 {
		equal(p.t, path+" response_bytes", value(r.ResponseBytes), uint64(orLabel(x.answered, p.stamps, "write"+n)))
	}
	for _, flag := range []string{"early_response", "pipelined", "continued", "upgraded", "orphan"} {
		switch wanted := slices.Contains(x.flags, flag); {
		case flag == "continued" && x.answered != 0: // there are interim responses
		case flag == "pipelined" && !wanted && p.address.Family == peer.Unix:
			// The client can be faster than the hook that sees the write.
		default:
			equal(p.t, path+" flag "+flag, r.Has(flag), wanted)
		}
	}
	if x.trace != "" {
		equal(p.t, path+" trace_id", r.TraceID, x.trace)
		equal(p.t, path+" parent_span_id", r.ParentSpanID, x.span)
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
	if printed := request.NewClock().Time(request.Stamp(writeLast.Before)); r.Printed.Before(printed) {
		p.t.Errorf("%s was printed %s before its last write", path, printed.Sub(r.Printed))
	}
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
		if float64(blocked) < least*float64(wrote) || produce > wrote/10 {
			p.t.Errorf("%s: of a write_back of %s %s are blocked and %s produce: the client was slow", path, wrote, blocked, produce)
		}
		return
	}
	paused := p.stamps.Gaps("write" + n)
	if x.endless {
		p.near(path+" produce_ns", r.Produce, paused, wrote)
	} else {
		p.near(path+" produce_ns", r.Produce, paused, p.widest("write"+n))
	}
	p.near(path+" blocked_ns", r.Blocked, 0, 0)
	equal(p.t, path+" flag streamed", r.Has("streamed"), produce >= ms(1))
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
	if !ok {
		p.t.Fatalf("the scripts left no stamp %q:\n%s", label, p.stamps)
	}
	last, _ = p.stamps.Last(label)
	return first, last
}

// near checks that a time is between least and most.
func (p played) near(what string, got *int64, least, most time.Duration) {
	p.t.Helper()
	if got == nil {
		p.t.Errorf("%s is absent, want %s to %s", what, least, most)
		return
	}
	if d := time.Duration(*got); d < least-little || d > most+p.latitude(most) {
		p.t.Errorf("%s is %s, want %s to %s", what, d, least, most)
	}
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

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

// nothingLost checks the agent's account of itself. Connections that the agent
// does not recognise as HTTP are counted for the whole machine. If one of a row
// is among them, its records are missing.
func nothingLost(t *testing.T, trace *harness.Trace) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(trace.Stderr()), "\n")
	if summary := lines[len(lines)-1]; !strings.Contains(summary, ", 0 lost") {
		t.Errorf("the agent lost something: %s", summary)
	}
}
