package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/cmd/refserver/truth"
	"lapwing/probes/socket"
	"lapwing/tools/load"
)

func TestEveryCombinationIsRunOrLeftOut(t *testing.T) {
	o, err := parseOptions(nil)
	require.NoError(t, err)
	todo, omitted := o.pick.cells()
	seen := make(map[string]bool)
	for _, c := range todo {
		assert.False(t, seen[c.String()], "%s twice", c)
		seen[c.String()] = true
	}
	left := 0
	for _, what := range omitted {
		left += len(what)
	}
	assert.Equal(t, len(architectures)*len(scenarios)*len(loads)*2, len(todo)+left*len(loads)*2)
	assert.Contains(t, omitted["serial: it closes the connection after each response"], "pipelining")
	assert.NotContains(t, omitted, "prefork: it closes the connection after each response")
}

func TestPartIsChosen(t *testing.T) {
	o, err := parseOptions([]string{"-arch", "threaded,prefork", "-scenario", "sleep", "-load", "4x", "-plan", "socket"})
	require.NoError(t, err)
	todo, omitted := o.pick.cells()
	require.Len(t, todo, 2)
	assert.Empty(t, omitted)
	assert.Equal(t, "prefork", todo[0].arch.name)
	assert.Equal(t, socket.PlanSocket, todo[1].plan)
}

func TestBadOptions(t *testing.T) {
	for option, want := range map[string]string{
		"-arch=quantum":   "choose from serial, prefork",
		"-scenario=x":     "choose from fast, sleep",
		"-load=2x":        "choose from one, 1x, 4x",
		"-plan=kprobe":    "choose from socket, syscall",
		"-workers=0":      "from 1 to 64",
		"-format=xml":     "use table or json",
		"-markers=maybe":  "use auto or off",
		"-requests=0":     "at least 1",
		"-tries=0":        "at least 1",
		"prefork":         "takes flags only",
		"-arch=prefork,,": `there is no ""`,
	} {
		_, err := parseOptions([]string{option})
		assert.ErrorContains(t, err, want, option)
	}
}

func TestTimetableLetsTheServerFinish(t *testing.T) {
	cell := func(arch, scenario, load string) combination {
		o, err := parseOptions([]string{"-arch", arch, "-scenario", scenario, "-load", load, "-plan", "socket"})
		require.NoError(t, err)
		todo, _ := o.pick.cells()
		require.Len(t, todo, 1)
		return todo[0]
	}
	w := cell("threaded", "sleep", "4x").when(2, 100)
	assert.Equal(t, load.Bursts{Size: 8, Every: 54 * time.Millisecond, Clients: 104}, w)
	w = cell("threaded", "lock", "4x").when(2, 100)
	assert.Equal(t, 3*time.Millisecond*8*13/10+2*time.Millisecond, w.Every, "one at a time")
	w = cell("serial", "sleep", "4x").when(2, 100)
	assert.Equal(t, 4, w.Size, "one worker, whatever was asked for")
	w = cell("prefork", "pipelining", "one").when(2, 100)
	assert.Equal(t, 25, w.Clients, "four requests each")
}

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

	a.sent = 1400 // on a connection that had been accepted
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

// exactly is evidence of n requests that the agent saw as they were.
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
		want  string // of the cell's problems; empty when it is within the bounds
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
		"phase left out":   {func(e *evidence) { e.records[0].App = nil }, "app off by"},
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

// mark lets a marker, which the agent saw too early by so much, end parse. The
// application was called 10 µs after the last read.
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

// late puts off the server's stamp behind the read of some requests.
func (e *evidence) late(n int, by int64) {
	for _, r := range e.records[:n] {
		a := e.account[r.TraceID]
		a.ReadFirstNS += by
		a.ReadNS += by
		a.AppEnterNS += by
		e.account[r.TraceID] = a
	}
}

// shift puts the agent's parse of some requests off.
func (e *evidence) shift(n int, by int64) {
	for i := range n {
		e.records[i].Parse = ns(100 + by)
	}
}

// scale makes app long, and the agent's by so much longer.
func (e *evidence) scale(app, by int64) {
	for i, r := range e.records {
		a := e.account[r.TraceID]
		a.WriteEnterNS += app
		a.WriteLeaveNS += app
		e.account[r.TraceID] = a
		e.records[i].App = ns(400 + app + by)
	}
}

// TestShareOfLongPhases: what is off by less than 1 % of a long phase is within
// the bound of p99, but not within that of the median.
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

func TestTruthFileGrows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "truth")
	write := func(text string) {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		require.NoError(t, err)
		_, err = f.WriteString(text)
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	f := newTruthFile(path)
	assert.Error(t, f.update(), "no file")
	write(`{"id":"a","pid":1}` + "\n" + `{"id":"b"`)
	require.NoError(t, f.update())
	assert.Len(t, f.lines, 1, "the second line is not complete")
	write(`,"pid":2}` + "\n")
	require.NoError(t, f.update())
	assert.Equal(t, 2, f.lines["b"].PID)
	write(`{"id":"a"}` + "\n")
	assert.ErrorContains(t, f.update(), "two lines of truth")
}

func TestSightingsComeInPieces(t *testing.T) {
	s := sightings{at: make(map[string][]record)}
	text := `{"trace_id":"a","local":"127.0.0.1:80"}` + "\n" + `{"trace_id":"b","local":"unix:/s"}` + "\n"
	for _, c := range text {
		_, err := s.Write([]byte(string(c)))
		require.NoError(t, err)
	}
	require.NoError(t, s.err)
	assert.Equal(t, "a", s.from("127.0.0.1:80", 0)[0].TraceID)
	assert.Len(t, s.from("unix:/s", 0), 1)
	assert.Empty(t, s.from("unix:/s", 1))
	_, _ = s.Write([]byte("fnord\n"))
	assert.ErrorContains(t, s.err, "fnord")
}

func TestReports(t *testing.T) {
	cells := []cell{exactly(20).judge()}
	cells[0].Load, cells[0].Plan = "4x", "socket"
	var table strings.Builder
	require.NoError(t, writeTable(&table, cells))
	for _, want := range []string{"plan socket, prefork", "20/20", "0/0/0/0", "ok", "Where requests waited"} {
		assert.Contains(t, table.String(), want)
	}
	require.NoError(t, verdict(cells))

	path := filepath.Join(t.TempDir(), "new", "truth.json")
	require.NoError(t, save(path, cells))
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	var back []map[string]any
	require.NoError(t, json.Unmarshal(b, &back))
	for _, field := range []string{"arch", "scenario", "load", "plan", "sent", "seen", "missing", "doubled", "misattributed", "phases"} {
		assert.Contains(t, back[0], field)
	}
	queue := back[0]["phases"].(map[string]any)["queue"]
	for _, field := range []string{"p50_us", "p99_us", "max_us"} {
		assert.Contains(t, queue, field)
	}
	cells[0].Within = false
	assert.ErrorContains(t, verdict(cells), "1 of 1 cells")
}
