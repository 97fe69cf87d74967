package console

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"

	"lapwing/exporters/health"
)

const poolKeys = "q quit  ? help  p pause  up/down select a pool  pgup/pgdn its workers"

var poolHelp = []string{
	"up, down (k, j)    select a pool; its workers are listed below",
	"pgup, pgdn (b, f)  scroll the workers",
	"p, space           pause the display; counting continues",
	"q, ctrl-c          quit",
	"",
	"POOL     workers: threads that serve the service, or wait for its connections",
	"BUSY     workers with a request",
	"HELD     workers that are blocked reading a connection without a request",
	"UTIL%    share of the workers' time that is busy, in the interval; - is unknown",
	"MOST     the most workers that were busy at once",
	"NEED     workers busy if no request waited: arrivals/s x seconds per request",
	"BACKLOG  connections that wait for accept, and the limit; MAX is the most seen",
	"DROPS    connection attempts that the kernel dropped, since the agent started",
	"WAIT     requests on accepted connections that no worker has read yet",
	"",
	"Any key closes this page.",
}

// poolsModel is the state of the live view of the pools.
type poolsModel struct {
	window  *poolWindow
	health  health.Func
	every   time.Duration
	color   bool
	notices func() []string

	table  poolTable
	state  health.Health
	chosen string // the service under the cursor
	first  int    // the first visible worker
	paused bool
	help   bool
	width  int
	height int
}

func newPoolsModel(pools PoolSource, account health.Func, opts TopOptions) *poolsModel {
	m := &poolsModel{window: newPoolWindow(pools), health: account, every: opts.Interval, color: opts.Color, notices: opts.Notices, width: 80, height: 24}
	m.refresh()
	return m
}

// Init starts the ticks.
func (m *poolsModel) Init() tea.Cmd { return m.next() }

func (m *poolsModel) next() tea.Cmd {
	return tea.Tick(m.every, func(t time.Time) tea.Msg { return tick(t) })
}

// Update takes a tick, a key or a new size of the terminal.
func (m *poolsModel) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tick:
		if !m.paused {
			m.refresh()
		}
		return m, m.next()
	case tea.WindowSizeMsg:
		m.width, m.height = max(msg.Width, 1), max(msg.Height, 1)
	case tea.KeyMsg:
		return m, eachKey(msg, m.key)
	}
	return m, nil
}

func (m *poolsModel) refresh() {
	m.table, m.state = m.window.next(), m.health()
	m.move(0)
}

// key handles one key press. Every key closes the help.
func (m *poolsModel) key(key string) tea.Cmd {
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
	case "up", "k":
		m.move(-1)
	case "down", "j":
		m.move(1)
	case "pgup", "b":
		m.first = max(0, m.first-m.height/2)
	case "pgdown", "f":
		m.first += m.height / 2
	}
	return nil
}

// move moves the cursor. It stays on its service when rows change places.
func (m *poolsModel) move(rows int) {
	if len(m.table.Pools) == 0 {
		m.chosen = ""
		return
	}
	if rows != 0 {
		m.first = 0
	}
	m.chosen = m.table.Pools[min(len(m.table.Pools)-1, max(0, m.row()+rows))].Service
}

func (m *poolsModel) row() int {
	return max(0, slices.IndexFunc(m.table.Pools, func(p poolView) bool { return p.Service == m.chosen }))
}

// View paints the screen: exactly as many lines as it has, none too wide.
func (m *poolsModel) View() string {
	title := fmt.Sprintf("lapwing workers  %s  last %s  %s", m.table.At.Format(time.TimeOnly), duration(m.table.Elapsed), health.Phrase(uint64(len(m.table.Pools)), "pools"))
	if m.paused {
		title = "PAUSED  " + title
	}
	lines := []string{m.style(title, styleBold), m.style(poolsLegend, styleDim)}
	facts := wrap(poolFacts(m.table, m.state), m.width)
	foot := []string{facts[0], m.style(poolKeys, styleDim)}
	lines = append(lines, m.body(m.height-len(lines)-len(foot))...)
	for len(lines) < m.height-len(foot) {
		lines = append(lines, "")
	}
	lines = append(lines[:max(0, min(len(lines), m.height-len(foot)))], foot...)
	lines = lines[:min(len(lines), m.height)]
	for i, line := range lines {
		lines[i] = ansi.Truncate(line, m.width, ellipsis)
	}
	return strings.Join(lines, "\n")
}

func (m *poolsModel) body(room int) []string {
	switch {
	case m.help:
		return poolHelp
	case len(m.table.Pools) == 0:
		return nothingYet(m.notices, m.width)
	}
	lines := []string{m.style("  "+poolHead(m.width-len(cursor)), styleBold)}
	for i := range m.table.Pools {
		mark := "  "
		if i == m.row() {
			mark = cursor
		}
		p := poolLines(&m.table.Pools[i], m.width-len(mark))
		lines = append(lines, m.style(mark, styleBold)+p[0])
		for _, board := range p[1:] {
			lines = append(lines, "  "+board)
		}
	}
	workers := workerLines(&m.table.Pools[m.row()], len(m.table.Pools[m.row()].Views))
	rows := max(1, room-len(lines)-2)
	m.first = max(0, min(m.first, len(workers)-1-rows))
	lines = append(lines, "", m.style(workers[0], styleBold))
	return append(lines, workers[1+m.first:min(len(workers), 1+m.first+rows)]...)
}

func (m *poolsModel) style(s, sequence string) string {
	if !m.color {
		return s
	}
	return sequence + s + styleEnd
}

// runProgram shows a live view until the user quits or ctx ends. It restores
// the terminal.
func runProgram(ctx context.Context, m tea.Model, opts TopOptions) error {
	program := tea.NewProgram(m, tea.WithInput(opts.In), tea.WithOutput(opts.Out),
		tea.WithAltScreen(), tea.WithoutSignalHandler(), tea.WithoutBracketedPaste())
	stop := context.AfterFunc(ctx, program.Quit)
	defer stop()
	if _, err := program.Run(); err != nil {
		return fmt.Errorf("show the live table: %w (if the terminal does not work, write the output to a pipe)", err)
	}
	return nil
}
