package console

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/collectors/worker"
	"lapwing/exporters/health"
)

// bench is a live table without a terminal.
type bench struct {
	*model
	t   *testing.T
	agg *Aggregator
	acc health.Health
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, agg: NewAggregator(0)}
	b.model = newModel(b.agg, func() health.Health { return b.acc }, TopOptions{Interval: time.Second})
	return b
}

// serve exports n requests of duration d.
func (b *bench) serve(service string, n, status int, d time.Duration) {
	for range n {
		b.agg.Export(served(service, "/", status, d/4, d/4, d/4, d-3*(d/4)))
	}
}

func (b *bench) tick() {
	b.t.Helper()
	_, cmd := b.Update(tick(time.Now()))
	assert.NotNil(b.t, cmd, "a tick asks for no further one")
}

// press sends keys and returns the last command.
func (b *bench) press(keys ...string) (cmd tea.Cmd) {
	special := map[string]tea.KeyType{
		"up": tea.KeyUp, "down": tea.KeyDown, "enter": tea.KeyEnter, "esc": tea.KeyEsc,
		"home": tea.KeyHome, "end": tea.KeyEnd, "ctrl+c": tea.KeyCtrlC,
	}
	for _, key := range keys {
		msg := tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(key)}
		if kind, ok := special[key]; ok {
			msg = tea.KeyMsg{Type: kind}
		}
		_, cmd = b.Update(msg)
	}
	return cmd
}

// services returns the names of the rows, the chosen one in brackets.
func (b *bench) services() string {
	var names []string
	for line := range strings.Lines(b.View()) {
		fields := strings.Fields(line)
		switch {
		case len(fields) > 5 && strings.HasPrefix(line, cursor):
			names = append(names, "["+fields[1]+"]")
		case len(fields) > 5 && strings.HasPrefix(line, "  ") && strings.HasPrefix(fields[0], "svc"):
			names = append(names, fields[0])
		}
	}
	return strings.Join(names, " ")
}

func (b *bench) want(services string) {
	b.t.Helper()
	assert.Equal(b.t, services, b.services(), "rows of\n%s", b.View())
}

// shows checks that what can be read on the screen. The message says what is
// wrong otherwise.
func (b *bench) shows(what, message string) {
	b.t.Helper()
	assert.Contains(b.t, b.View(), what, "%s\n%s", message, b.View())
}

func TestLiveSorts(t *testing.T) {
	b := newBench(t)
	b.shows("No request yet", "an empty table shows")
	b.serve("svc-a", 30, 200, time.Millisecond)
	b.serve("svc-b", 20, 500, 2*time.Millisecond)
	b.serve("svc-c", 10, 200, time.Second)
	b.tick()
	b.want("[svc-a] svc-b svc-c")
	for _, c := range []struct{ key, rows string }{
		{"e", "svc-b [svc-a] svc-c"},
		{"l", "svc-c svc-b [svc-a]"},
		{"n", "[svc-a] svc-b svc-c"},
		{"t", "svc-c svc-b [svc-a]"},
		{"r", "[svc-a] svc-b svc-c"},
	} {
		b.press(c.key)
		b.want(c.rows)
	}
	var cycle []string
	for range numOrders {
		b.press("s")
		cycle = append(cycle, orderNames[b.order])
		b.shows("sorted by "+orderNames[b.order], "the order is not told")
	}
	slices.Sort(cycle)
	assert.Len(t, slices.Compact(cycle), int(numOrders), "s goes through these only")
}

func TestLiveChooses(t *testing.T) {
	b := newBench(t)
	for i := range 30 {
		b.serve(fmt.Sprintf("svc-%02d", i), 31-i, 200, time.Millisecond)
	}
	b.tick()
	b.press("jj", "down", "up")
	assert.Equal(t, "svc-02", b.chosen)
	b.shows("svc-02: 29 requests", "the chosen row is not told")
	b.press("end")
	b.shows("> svc-29", "the last row is out of sight")
	b.press("down", "k")
	assert.Equal(t, "svc-28", b.chosen)
	b.press("home", "up")
	b.shows("> svc-00", "the first row is out of sight")
	b.serve("svc-05", 1000, 200, time.Millisecond)
	b.tick()
	assert.Equal(t, "svc-00", b.chosen, "the cursor left its service")
	assert.NotZero(t, b.row(), "the cursor left its service")
}

func TestLiveDetails(t *testing.T) {
	b := newBench(t)
	b.serve("svc-a", 3, 200, time.Millisecond)
	b.tick()
	b.serve("svc-a", 2, 500, time.Millisecond)
	b.tick()
	b.press("enter")
	for _, want := range []string{"svc-a: 2 requests, 2 errors, last", "svc-a: 5 requests, 2 errors, since the start", "queue", "write_back", "P99", "SUM"} {
		b.shows(want, "something is missing")
	}
	b.serve("svc-a", 1, 200, time.Millisecond)
	b.tick()
	b.shows("svc-a: 6 requests", "the details stand still")
	b.press("esc")
	b.want("[svc-a]")
}

func TestLivePauses(t *testing.T) {
	b := newBench(t)
	b.serve("svc-a", 1, 200, time.Millisecond)
	b.tick()
	b.press("p")
	b.serve("svc-b", 5, 200, time.Millisecond)
	b.tick()
	b.want("[svc-a]")
	b.shows("PAUSED", "the pause is not told")
	b.press(" ")
	b.tick()
	b.want("svc-b [svc-a]")
	assert.EqualValues(t, 5, b.table.Services[0].Requests)
}

func TestLiveHelpAndQuit(t *testing.T) {
	b := newBench(t)
	b.press("?")
	b.shows("Any key closes", "no help")
	b.press("n")
	assert.NotContains(t, b.View(), "Any key closes", "a key does not close the help")
	assert.Equal(t, byRate, b.order, "a key does more than close the help")
	for _, key := range []string{"q", "ctrl+c"} {
		cmd := b.press("?", key)
		require.NotNil(t, cmd, "%s does not quit", key)
		assert.IsType(t, tea.QuitMsg{}, cmd(), "%s does not quit", key)
	}
}

func TestLiveHealth(t *testing.T) {
	b := newBench(t)
	b.shows("none lost", "nothing about losses")
	b.acc = sampleHealth()
	b.tick()
	for _, want := range []string{"1041 requests", "1 incomplete", "lost ring_buffer_full 3", "4 skipped probe runs", "missed_start in_flight 2", "unknown tls 7"} {
		b.shows(want, "something is missing")
	}
}

// TestLiveFits checks every view at every size, with and without colours: it
// has as many lines as the screen, and none is too wide.
func TestLiveFits(t *testing.T) {
	b := newBench(t)
	b.acc = sampleHealth()
	b.serve("a-service-with-a-very-long-name\x1b[2J", 3, 200, time.Millisecond)
	for i := range 40 {
		b.serve(fmt.Sprintf("日本語-%d", i), i, 500, time.Second)
	}
	b.tick()
	for _, view := range []string{"", "down", "enter", "?"} {
		b.press(view)
		for _, width := range []int{1, 10, 40, 52, 79, 80, 100, 132, 200, 300} {
			for _, height := range []int{1, 2, 5, 10, 20, 24, 60} {
				b.color = !b.color
				b.Update(tea.WindowSizeMsg{Width: width, Height: height})
				b.checkSize(width, height)
			}
		}
	}
}

func (b *bench) checkSize(width, height int) {
	b.t.Helper()
	lines := strings.Split(b.View(), "\n")
	assert.Len(b.t, lines, height, "%dx%d: %d lines", width, height, len(lines))
	for _, line := range lines {
		assert.LessOrEqual(b.t, ansi.StringWidth(line), width, "%dx%d: too many cells: %q", width, height, line)
		assert.NotContains(b.t, line, "\x1b[2J", "%dx%d: escape sequence of a name", width, height)
		if !b.color {
			assert.NotContains(b.t, line, "\x1b", "%dx%d: escape sequence", width, height)
		}
	}
}

// TestLiveScreen pins the whole screen at the size of a plain terminal.
func TestLiveScreen(t *testing.T) {
	b := newBench(t)
	b.table = sampleTable()
	b.state = sampleHealth()
	b.move(1)
	golden(t, "live_80x24.txt", []byte(b.View()+"\n"))
	b.Update(tea.WindowSizeMsg{Width: 120, Height: 30})
	golden(t, "live_120x30.txt", []byte(b.View()+"\n"))
}

func TestEmptyTableSaysWhatIsProbablyNotMeant(t *testing.T) {
	notice := "no server is called shopp now: waiting for one (listening now: shop, nginx, gunicorn:blog)"
	opts := TopOptions{Interval: time.Second, Notices: func() []string { return []string{notice} }}
	m := newModel(NewAggregator(0), func() health.Health { return health.Health{} }, opts)
	m.resize(60, 20)
	p := newPoolsModel(&noPools{}, func() health.Health { return health.Health{} }, opts)
	p.width, p.height = 60, 20
	for _, view := range []string{m.View(), p.View()} {
		assert.Contains(t, strings.Join(strings.Fields(view), " "), "No request yet. "+notice, "the notice is not in\n%s", view)
		for line := range strings.Lines(view) {
			assert.LessOrEqual(t, ansi.StringWidth(strings.TrimSuffix(line, "\n")), 60, "wider than the terminal: %s", line)
		}
	}
}

// noPools is a source that has seen nothing yet.
type noPools struct{ staged }

func (noPools) Snapshot() []worker.Snapshot { return nil }
func (noPools) Host() (worker.Host, error)  { return worker.Host{}, nil }
func (noPools) Losses() map[string]uint64   { return nil }
