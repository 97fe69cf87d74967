package console

import (
	"cmp"
	"slices"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"lapwing/exporters/health"
)

// order is the sort order of the rows of the live table.
type order int

const (
	byRate order = iota
	byErrors
	byLatency
	byTime
	byName
	numOrders
)

var orderNames = [numOrders]string{"rate", "errors", "latency (p95)", "time spent", "name"}

// orderKeys are the keys that select an order.
var orderKeys = map[string]order{"r": byRate, "e": byErrors, "l": byLatency, "t": byTime, "n": byName}

// compare sorts larger figures first, and names alphabetically.
func (o order) compare(a, b ServiceStats) int {
	figure := 0
	switch o {
	case byRate:
		figure = cmp.Compare(b.Requests, a.Requests)
	case byErrors:
		figure = cmp.Compare(b.Errors, a.Errors)
	case byLatency:
		figure = cmp.Compare(b.Duration.P95, a.Duration.P95)
	case byTime:
		figure = cmp.Compare(b.Duration.Sum, a.Duration.Sum)
	}
	return cmp.Or(figure, strings.Compare(a.Service, b.Service))
}

// model is the state of the live table.
type model struct {
	agg     *Aggregator
	window  *Window
	health  health.Func
	every   time.Duration
	color   bool
	notices func() []string

	table  Table // the last interval
	totals Table // since the start; only up to date in the detail view
	state  health.Health

	order   order
	chosen  string // the service under the cursor
	first   int    // the first visible row
	paused  bool
	detail  bool
	help    bool
	columns []column
	width   int
	height  int
}

// tick asks for new figures.
type tick time.Time

func newModel(agg *Aggregator, account health.Func, opts TopOptions) *model {
	m := &model{agg: agg, window: agg.NewWindow(), health: account, every: opts.Interval, color: opts.Color, notices: opts.Notices}
	m.resize(80, 24) // until the terminal reports its size
	m.refresh()
	return m
}

// Init starts the ticks.
func (m *model) Init() tea.Cmd { return m.next() }

func (m *model) next() tea.Cmd {
	return tea.Tick(m.every, func(t time.Time) tea.Msg { return tick(t) })
}

// Update takes a tick, a key or a new size of the terminal.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tick:
		if !m.paused {
			m.refresh()
		}
		return m, m.next()
	case tea.WindowSizeMsg:
		m.resize(msg.Width, msg.Height)
	case tea.KeyMsg:
		return m, eachKey(msg, m.key)
	}
	return m, nil
}

// eachKey passes the keys of one message on, one by one. Letters that arrive
// together, from a key held down on a slow line, come in one message.
func eachKey(msg tea.KeyMsg, key func(string) tea.Cmd) tea.Cmd {
	if msg.Type != tea.KeyRunes {
		return key(msg.String())
	}
	for _, r := range msg.Runes {
		if cmd := key(string(r)); cmd != nil {
			return cmd
		}
	}
	return nil
}

func (m *model) resize(width, height int) {
	m.width, m.height = max(width, 1), max(height, 1)
	m.columns = columnsFor(m.width - len(cursor))
}

// refresh reads the figures of the interval that ends now.
func (m *model) refresh() {
	m.table = m.window.Next()
	m.state = m.health()
	if m.detail {
		m.totals = m.agg.Totals()
	}
	m.sort()
}

func (m *model) sort() {
	slices.SortFunc(m.table.Services, m.order.compare)
	m.move(0)
}

// key handles one key press. Every key closes the help.
func (m *model) key(key string) tea.Cmd {
	if key == "q" || key == "ctrl+c" {
		return tea.Quit
	}
	if m.help {
		m.help = false
		return nil
	}
	switch key {
	case "?", "h":
		m.help = true
	case "p", " ":
		m.paused = !m.paused
	case "s":
		m.order = (m.order + 1) % numOrders
		m.sort()
	case "enter":
		m.open()
	case "esc", "backspace":
		m.detail = false
	case "up", "k":
		m.move(-1)
	case "down", "j":
		m.move(1)
	case "home", "g":
		m.move(-len(m.table.Services))
	case "end", "G":
		m.move(len(m.table.Services))
	default:
		if order, ok := orderKeys[key]; ok {
			m.order = order
			m.sort()
		}
	}
	return nil
}

func (m *model) open() {
	if len(m.table.Services) > 0 {
		m.detail = !m.detail
		m.totals = m.agg.Totals()
	}
}

// move moves the cursor by rows. The cursor stays on its service when rows
// change places.
func (m *model) move(rows int) {
	last := len(m.table.Services) - 1
	if last < 0 {
		m.chosen = ""
		return
	}
	m.chosen = m.table.Services[min(last, max(0, m.row()+rows))].Service
}

// row returns the index of the chosen service.
func (m *model) row() int {
	return max(0, slices.IndexFunc(m.table.Services, m.isChosen))
}

func (m *model) isChosen(s ServiceStats) bool { return s.Service == m.chosen }
