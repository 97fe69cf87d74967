package main

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"lapwing/cmd/refserver/truth"
	"lapwing/tools/load"
)

func ns(v int64) *int64 { return &v }

// line is the truth about a request that was sent at 1000.
var line = truth.Line{
	ID: "a", PID: 7, TID: 8, AcceptorTID: 9, Seq: 1, AcceptNS: 1300, ReadFirstNS: 1500, ReadNS: 1600,
	AppEnterNS: 1650, WriteEnterNS: 2000, WriteLeaveNS: 2100,
}

func TestWindows(t *testing.T) {
	got := func(r record, a account) map[string]int64 {
		m := make(map[string]int64)
		for _, w := range windows(r, a) {
			m[w.name] = w.truth
		}
		return m
	}
	a := account{Line: line, sent: 1000}
	assert.Equal(t, map[string]int64{
		"queue": 500, "backlog": 300, "dispatch": 200, "parse": 100, "app": 400, "write_back": 100,
	}, got(record{Boundary: "syscall"}, a))
	assert.Equal(t, map[string]int64{
		"queue": 500, "backlog": 300, "dispatch": 200, "parse": 150, "app": 350, "write_back": 100,
	}, got(record{Boundary: "marker"}, a))

	a.sent = 1400 // on a connection that was already accepted
	assert.Equal(t, int64(0), got(record{}, a)["backlog"])
	assert.Equal(t, int64(100), got(record{}, a)["dispatch"])
	a.Seq = 2
	assert.NotContains(t, got(record{}, a), "backlog")
	assert.Equal(t, 50*time.Nanosecond, hidden(a))
}

func TestMisattributed(t *testing.T) {
	a := account{Line: line}
	right := record{PID: 7, TID: 8, AcceptorTID: 9}
	assert.False(t, misattributed(architecture{}, right, a))
	for _, r := range []record{{PID: 1, TID: 8, AcceptorTID: 9}, {PID: 7, TID: 1, AcceptorTID: 9}, {PID: 7, TID: 8, AcceptorTID: 1}, {PID: 7, TID: 9, AcceptorTID: 9}} {
		assert.True(t, misattributed(architecture{}, r, a), "%+v", r)
	}
	assert.False(t, misattributed(architecture{readerTID: true}, record{PID: 7, TID: 9, AcceptorTID: 9}, a))
	assert.True(t, misattributed(architecture{readerTID: true}, record{PID: 7, TID: 1, AcceptorTID: 9}, a))
}

// exactly returns evidence of n requests that the agent saw exactly as they
// were.
func exactly(n int) evidence {
	e := evidence{combination: combination{arch: architectures[1], scenario: scenarios[0], load: loads[0]}, account: make(map[string]account), workers: 2}
	for i := range n {
		l := line
		l.ID = string(rune('a' + i))
		e.result.Sent = append(e.result.Sent, load.Sent{ID: l.ID})
		e.account[l.ID] = account{Line: l, sent: 1000}
		e.records = append(e.records, record{
			TraceID: l.ID, PID: 7, TID: 8, AcceptorTID: 9, Boundary: "syscall",
			Queue: ns(500), Parse: ns(100), App: ns(400), WriteBack: ns(100), Backlog: ns(300), Dispatch: ns(200),
		})
	}
	return e
}

func TestVerdicts(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*evidence)
		want  string // substring of the cell's problems; empty if it is within the bounds
	}{
		"exact":            {func(*evidence) {}, ""},
		"missing":          {func(e *evidence) { e.records = e.records[1:] }, "1 missing"},
		"doubled":          {func(e *evidence) { e.records = append(e.records, e.records[0]) }, "1 doubled"},
		"invented":         {func(e *evidence) { e.records = append(e.records, record{TraceID: "?"}) }, "1 invented"},
		"wrong worker":     {func(e *evidence) { e.records[3].TID = 5 }, "1 misattributed"},
		"queue too long":   {func(e *evidence) { e.records[2].Queue = ns(5_600) }, "1 contradicted"},
		"write too long":   {func(e *evidence) { e.records[2].WriteBack = ns(5_200) }, "1 contradicted"},
		"app too short":    {func(e *evidence) { e.scale(100_000, -6_000) }, "20 contradicted"},
		"parse too short":  {func(e *evidence) { e.mark(6_000) }, "20 contradicted"},
		"marker":           {func(e *evidence) { e.mark(0) }, ""},
		"late stamps":      {func(e *evidence) { e.late(19, 15_000) }, ""},
		"without truth":    {func(e *evidence) { delete(e.account, "b") }, "1 without truth"},
		"nothing sent":     {func(e *evidence) { *e = evidence{combination: e.combination, workers: 2} }, "nothing was sent"},
		"client's error":   {func(e *evidence) { e.result.Errs = []error{os.ErrDeadlineExceeded} }, "timeout"},
		"phase left out":   {func(e *evidence) { e.records[0].App = nil }, "app left out 1 times"},
		"one is far off":   {func(e *evidence) { e.late(1, 300_000) }, "queue off by"},
		"median is off":    {func(e *evidence) { e.shift(20, 21_000) }, "parse off by 21/21/21 µs"},
		"less than half":   {func(e *evidence) { e.shift(9, 21_000) }, ""},
		"off by 1 % of it": {func(e *evidence) { e.scale(100_000_000, 900_000) }, "app off by 900/900/900 µs"},
	} {
		t.Run(name, func(t *testing.T) {
			e := exactly(20)
			c.spoil(&e)
			got := e.judge()
			if c.want == "" {
				assert.Empty(t, got.problems())
			} else {
				assert.Contains(t, got.problems(), c.want)
			}
			assert.Equal(t, c.want == "", got.Within)
		})
	}
}

// TestOnlyLateCellsRunAgain checks that a cell with a wrong count or a wrong
// median is not tried again.
func TestOnlyLateCellsRunAgain(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*evidence)
		want  bool
	}{
		"within":       {func(*evidence) {}, false},
		"p99":          {func(e *evidence) { e.late(1, 300_000) }, true},
		"median":       {func(e *evidence) { e.shift(20, 21_000) }, false},
		"both":         {func(e *evidence) { e.late(1, 300_000); e.shift(20, 21_000) }, false},
		"p99, missing": {func(e *evidence) { e.late(2, 300_000); e.records = e.records[1:] }, false},
		"p99, doubled": {func(e *evidence) { e.late(1, 300_000); e.records = append(e.records, e.records[0]) }, false},
		"p99, wrong":   {func(e *evidence) { e.late(1, 300_000); e.records[0].PID = 1 }, false},
		"left out":     {func(e *evidence) { e.late(1, 300_000); e.records[1].App = nil }, false},
	} {
		e := exactly(20)
		c.spoil(&e)
		assert.Equal(t, c.want, e.judge().lateOnly(), name)
	}
}

// mark makes a marker end parse, which the agent saw too early by this time, in
// nanoseconds. The application was called 10 µs after the last read.
func (e *evidence) mark(early int64) {
	for i, r := range e.records {
		a := e.account[r.TraceID]
		a.AppEnterNS = a.ReadNS + 10_000
		a.WriteEnterNS += 10_000
		a.WriteLeaveNS += 10_000
		e.account[r.TraceID] = a
		e.records[i].Boundary = boundaryMarker
		e.records[i].Parse, e.records[i].App = ns(10_100-early), ns(350+early)
	}
}

// late delays the server's stamp after the read of some requests.
func (e *evidence) late(n int, by int64) {
	for _, r := range e.records[:n] {
		a := e.account[r.TraceID]
		a.ReadFirstNS += by
		a.ReadNS += by
		a.AppEnterNS += by
		e.account[r.TraceID] = a
	}
}

// shift moves the agent's parse of some requests.
func (e *evidence) shift(n int, by int64) {
	for i := range n {
		e.records[i].Parse = ns(100 + by)
	}
}

// scale makes app long, and the agent's app longer by this time.
func (e *evidence) scale(app, by int64) {
	for i, r := range e.records {
		a := e.account[r.TraceID]
		a.WriteEnterNS += app
		a.WriteLeaveNS += app
		e.account[r.TraceID] = a
		e.records[i].App = ns(400 + app + by)
	}
}

// TestShareOfLongPhases checks that an error below 1 % of a long phase is
// within the bound of p99, but not within that of the median.
func TestShareOfLongPhases(t *testing.T) {
	var s series
	s.add("a", window{"app", ns(100_900_000), 100_000_000})
	assert.Zero(t, s.over)
	s.add("a", window{"app", ns(101_100_000), 100_000_000})
	assert.Equal(t, 1, s.over)
	assert.Equal(t, int64(101_100_000), s.worst.Agent)
}

func TestRank(t *testing.T) {
	var v []int64
	for i := range int64(100) {
		v = append(v, i+1)
	}
	assert.Equal(t, []int64{50, 99, 100}, []int64{rank(v, 50), rank(v, 99), rank(v, 100)})
	assert.Equal(t, int64(1), rank(v[:1], 50))
	assert.Zero(t, rank(nil, 99))
	assert.Equal(t, 1.3, micros(1250))
}
