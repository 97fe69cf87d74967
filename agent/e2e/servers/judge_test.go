package servers

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"lapwing/agent/e2e/harness"
	"lapwing/collectors/request"
)

// comparison compares what the agent printed with the other accounts.
type comparison struct {
	server
	t       *testing.T
	records []harness.Record
	asked   []asked
	worked  []worked   // empty if there is no application
	logged  [][]logged // of each log of the server
	clock   *request.Clock
	late    *[]string // times that do not agree
}

// slack returns the possible difference of two readings of the same time. The
// wall time of a record is converted by the agent's clock and back by the
// test's clock.
func slack() time.Duration { return harness.Slow(time.Millisecond) }

// putOff returns how long a packet can wait, on a busy machine, for the kernel
// thread that receives packets.
func putOff() time.Duration { return harness.Slow(9 * time.Millisecond) }

// near returns the largest difference of medians of the same event.
func near() time.Duration { return harness.Slow(3 * time.Millisecond) }

// judge fails the test if facts are wrong. It returns the times that do not
// agree, because another program may have used the CPUs.
func (c comparison) judge(plan string) (result, []string) {
	c.t.Helper()
	c.clock, c.late = request.NewClock(), new([]string)
	r := result{Server: c.name, Plan: plan, Requests: len(c.records), Asked: len(c.asked),
		Waits: c.waits, Threads: c.threads, Limits: c.limits}
	c.sameRequests()
	if c.t.Failed() {
		return r, nil
	}
	c.facts()
	c.against(&r)
	c.queues(&r)
	c.ownClocks(&r)
	return r, *c.late
}

// sameRequests compares the paths and statuses of all accounts, in any order.
// No account may have more requests than the others, or one twice.
func (c comparison) sameRequests() {
	c.t.Helper()
	printed := counts(c.records, func(r harness.Record) string { return fmt.Sprint(r.Path, " ", r.Status) })
	c.same("the client", printed, counts(c.asked, func(a asked) string { return fmt.Sprint(a.path, " ", a.status) }))
	if c.threads != noApp {
		c.same("the application", printed, counts(c.worked, func(w worked) string { return fmt.Sprint(w.path, " ", w.status) }))
	}
	for i, l := range c.logs {
		c.same(l.file, printed, counts(c.logged[i], func(l logged) string { return fmt.Sprint(l.path, " ", l.status) }))
	}
}

func counts[T any](all []T, key func(T) string) map[string]int {
	n := make(map[string]int)
	for _, v := range all {
		n[key(v)]++
	}
	return n
}

func (c comparison) same(who string, printed, own map[string]int) {
	c.t.Helper()
	assert.True(c.t, maps.Equal(printed, own), "the agent printed %d different requests, %s has %d\nonly or more often the agent: %s\nonly or more often %s: %s",
		len(printed), who, len(own), more(printed, own), who, more(own, printed))
}

// more lists a few elements that a has more often than b.
func more(a, b map[string]int) string {
	var left []string
	for key, n := range a {
		if n > b[key] {
			left = append(left, key)
		}
	}
	sort.Strings(left)
	if n := len(left); n > 5 {
		left = append(left[:5], fmt.Sprintf("and %d more", n-5))
	}
	return strings.Join(left, ", ")
}

// facts checks which processes and threads served.
func (c comparison) facts() {
	c.t.Helper()
	app := byPath(c.worked, func(w worked) string { return w.path })
	problems := newProblems(c.t)
	for _, r := range c.records {
		problems.check(named(r, c.service), "service is %q, want %q: %s", r.Service, c.service, r.Line)
		problems.check((r.Boundary == "marker") == c.marked, "boundary is %s: %s", r.Boundary, r.Line)
		problems.check((r.Error != "") == (r.Status >= 500), "failed, or not: %s", r.Line)
		problems.check(len(r.Flags) == 0 || len(r.Flags) == 1 && r.Has("streamed"), "flags of an ordinary request: %s", r.Line)
		problems.check(r.Has("streamed") == (sum(r.Produce) >= time.Millisecond), "streamed, or not: %s", r.Line)
		w, ok := app[r.Path]
		if !ok {
			continue
		}
		problems.check((w.pid == r.PID) == (c.threads != otherProcess), "the application ran in process %d: %s", w.pid, r.Line)
		problems.check((w.tid == r.TID) == (c.threads == sameThread), "the application ran in thread %d: %s", w.tid, r.Line)
	}
	problems.report()
}

func byPath[T any](all []T, path func(T) string) map[string]T {
	m := make(map[string]T)
	for _, v := range all {
		m[path(v)] = v
	}
	return m
}

// against compares the times with those of the client and the application. The
// order of events must be right in each request. Times of the same event must
// agree at the median.
func (c comparison) against(r *result) {
	c.t.Helper()
	client := byPath(c.asked, func(a asked) string { return a.path })
	app := byPath(c.worked, func(w worked) string { return w.path })
	problems := newProblems(c.t)
	var parse, entry, leave, end []time.Duration
	for _, rec := range c.records {
		m, err := momentsOf(rec)
		if err != nil {
			problems.check(false, "%v", err)
			continue
		}
		a := client[rec.Path]
		before := func(what string, early, late time.Time) {
			problems.check(!early.After(late.Add(slack())), "%s by %s: %s", what, early.Sub(late), rec.Line)
		}
		before("arrived before it was sent", c.wall(a.before), m.arrived)
		before("arrived after it was sent", m.arrived.Add(-putOff()), c.wall(a.after))
		before("read to the end before that was sent", c.wall(a.ended), m.readLast)
		end = append(end, m.writeLast.Sub(c.wall(a.received)).Abs())
		if w, ok := app[rec.Path]; ok {
			before("read after the application was called", m.readLast, c.wall(w.begin))
			before("answered before the application was done", c.wall(w.end), m.writeFirst)
			entry = append(entry, c.wall(w.begin).Sub(m.readLast))
			leave = append(leave, m.writeFirst.Sub(c.wall(w.end)))
		}
		if a.ended > a.before {
			parse = append(parse, m.readLast.Sub(c.wall(a.ended)))
		}
	}
	problems.report()
	r.split(c.records)
	r.End = c.atMost("from the end of write_back to the client's last read", end, near())
	if c.waits == inServer || c.waits == nowhere {
		c.atMost("from sending the second piece to the end of parse", parse, near())
	}
	if c.threads == noApp {
		return
	}
	r.Leave = c.atMost("from the end of the application to write_back", leave, near())
	if c.waits == inServer || c.waits == unreadOrServer {
		r.Entry = median(entry)
		return
	}
	r.Entry = c.atMost("from parse to the application", entry, near())
}

// queues checks that requests waited where this server makes them wait.
func (c comparison) queues(r *result) {
	c.t.Helper()
	var queue, backlog, dispatch, app time.Duration
	for _, rec := range c.records {
		app += sum(rec.App)
		queue += sum(rec.Queue)
		backlog += sum(rec.Backlog)
		dispatch += sum(rec.Dispatch)
	}
	waited := queue / time.Duration(len(c.records))
	if c.threads == noApp {
		return
	}
	switch c.waits {
	case inBacklog:
		c.expect(waited > 4*time.Millisecond && backlog > queue*3/4, "requests wait in the backlog: %s of queue, %s of it backlog", queue, backlog)
	case unread:
		c.expect(waited > 4*time.Millisecond && dispatch > queue*3/4, "requests wait accepted: %s of queue, %s of it dispatch", queue, dispatch)
	case inServer:
		c.expect(waited < r.Entry/2 && r.Entry > 4*time.Millisecond, "requests wait in the server: %s of queue each, %s in the server", waited, r.Entry)
	case unreadOrServer:
		c.expect(waited > 4*time.Millisecond && r.Entry > 4*time.Millisecond, "requests wait twice: %s of queue each, %s in the server", waited, r.Entry)
	case nowhere:
		c.expect(queue < app, "requests do not wait: %s of queue, %s of app", queue, app)
	}
}

// ownClocks compares with the times in the server's own logs.
func (c comparison) ownClocks(r *result) {
	c.t.Helper()
	for i, l := range c.logs {
		if l.took == nil {
			continue
		}
		own := byPath(c.logged[i], func(l logged) string { return l.path })
		var off []time.Duration
		for _, rec := range c.records {
			off = append(off, (l.took(rec) - own[rec.Path].took).Abs())
		}
		r.Own = append(r.Own, ownClock{l.means, c.atMost("from "+l.means, off, harness.Slow(l.within))})
	}
}

func (c comparison) wall(s request.Stamp) time.Time { return c.clock.Time(s) }

func (c comparison) expect(ok bool, format string, args ...any) {
	c.t.Helper()
	if !ok {
		*c.late = append(*c.late, "not seen: "+fmt.Sprintf(format, args...))
	}
}

// atMost checks the median of differences and returns it.
func (c comparison) atMost(what string, all []time.Duration, limit time.Duration) time.Duration {
	c.t.Helper()
	m := median(all)
	if len(all) == 0 || m > limit {
		*c.late = append(*c.late, fmt.Sprintf("%s: %s at the median of %d, want at most %s", what, m, len(all), limit))
	}
	return m
}

func median(all []time.Duration) time.Duration {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

// problems collects problems of single requests. As a row has many requests, it
// shows a few problems and counts the rest.
type problems struct {
	t     *testing.T
	shown []string
	count int
}

func newProblems(t *testing.T) *problems { return &problems{t: t} }

func (p *problems) check(ok bool, format string, args ...any) {
	if ok {
		return
	}
	if p.count++; p.count <= 5 {
		p.shown = append(p.shown, fmt.Sprintf(format, args...))
	}
}

func (p *problems) report() {
	p.t.Helper()
	assert.Zero(p.t, p.count, "problems, the first of them:\n%s", strings.Join(p.shown, "\n"))
}

// nothingElse checks, when the agent has ended, that no request was printed
// again.
func nothingElse(t *testing.T, records []harness.Record) {
	t.Helper()
	for path, n := range counts(records, func(r harness.Record) string { return r.Local + r.Path }) {
		assert.LessOrEqual(t, n, 1, "records of %s", path)
	}
}
