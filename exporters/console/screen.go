package console

import (
	"fmt"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"
)

// The fixed parts of the screen.
const (
	cursor   = "> " // marks the chosen service, with colours or without
	keysLine = "q quit  ? help  s sort  p pause  up/down select  enter details"

	// paneHeight is the lowest height of a screen that shows the phases of the
	// chosen service below the table.
	paneHeight = 20
)

var helpLines = []string{
	"up, down (k, j)    select a service; home, end (g, G) the first, the last",
	"enter              phases of the service, in the interval and since the start",
	"esc                back to the table",
	"s                  sort by the next column",
	"r e l t n          sort by rate, errors, latency, time spent, name",
	"p, space           pause the display; counting continues",
	"q, ctrl-c          quit",
	"",
	"The time of a request is divided into four phases:",
	"  q queue       the request waited for the server to read it",
	"  p parse       the server read the request, including its body",
	"  a app         the server and the application worked on the response",
	"  w write_back  the server handed the response to the kernel",
	"",
	"Any key closes this page.",
}

// View paints the screen: exactly as many lines as it has, none too wide.
func (m *model) View() string {
	head := m.head()
	foot := m.foot()
	room := max(0, m.height-len(head)-len(foot))
	body := m.body(room)
	lines := append(head, body[:min(room, len(body))]...)
	for len(lines) < m.height-len(foot) {
		lines = append(lines, "")
	}
	lines = append(lines, foot...)
	lines = lines[:min(len(lines), m.height)]
	for i, line := range lines {
		lines[i] = ansi.Truncate(line, m.width, ellipsis)
	}
	return strings.Join(lines, "\n")
}

func (m *model) head() []string {
	requests, errors := m.table.total()
	title := fmt.Sprintf("lapwing top  %s  last %s  %s requests/s  %s errors/s",
		m.table.At.Format(time.TimeOnly), duration(m.table.Elapsed),
		rateText(m.table.Rate(requests)), rateText(m.table.Rate(errors)))
	if m.paused {
		title = "PAUSED  " + title
	}
	return []string{m.style(title, styleBold), m.style(legend+"  sorted by "+orderNames[m.order], styleDim)}
}

// foot returns the agent's health, in at most two lines, and the keys.
func (m *model) foot() []string {
	facts := wrap(healthFacts(m.state), m.width)
	if len(facts) > 2 {
		facts = []string{facts[0], fit(strings.Join(facts[1:], " | "), m.width)}
	}
	return append(facts, m.style(keysLine, styleDim))
}

func (m *model) body(room int) []string {
	switch {
	case m.help:
		return helpLines
	case len(m.table.Services) == 0:
		return nothingYet(m.notices, m.width)
	case m.detail:
		return m.details()
	case m.height >= paneHeight:
		pane := m.pane()
		return append(m.rows(room-len(pane)), pane...)
	}
	return m.rows(room)
}

// nothingYet returns the lines that replace a table without rows.
func nothingYet(notices func() []string, width int) []string {
	lines := []string{"", "No request yet."}
	if notices == nil {
		return lines
	}
	for _, notice := range notices() {
		lines = append(lines, "")
		lines = append(lines, strings.Split(ansi.Wordwrap(notice, width, ""), "\n")...)
	}
	return lines
}

// rows returns the table, scrolled so that the chosen service is visible.
func (m *model) rows(room int) []string {
	lines := []string{m.style(string(appendHeads([]byte("  "), m.columns)), styleBold)}
	room = max(1, room-len(lines))
	chosen := m.row()
	m.first = max(min(m.first, chosen, len(m.table.Services)-room), chosen-room+1, 0)
	for i := m.first; i < min(m.first+room, len(m.table.Services)); i++ {
		s := &m.table.Services[i]
		mark := "  "
		if i == chosen {
			mark = cursor
		}
		line := appendRow(nil, m.columns, &m.table, s, m.color)
		lines = append(lines, m.style(mark, styleBold)+string(line))
	}
	for len(lines) < room+1 {
		lines = append(lines, "")
	}
	return lines
}

// pane returns the phases of the chosen service in the last interval.
func (m *model) pane() []string {
	return append([]string{""}, m.breakdown(m.table.Services[m.row()], "last "+duration(m.table.Elapsed))...)
}

// details returns the chosen service in the last interval and since the start.
func (m *model) details() []string {
	lines := m.pane()
	for _, s := range m.totals.Services {
		if m.isChosen(s) {
			lines = append(append(lines, ""), m.breakdown(s, "since the start, "+duration(m.totals.Elapsed))...)
		}
	}
	return lines
}

func (m *model) breakdown(s ServiceStats, span string) []string {
	title, _ := appendText(nil, serviceTitle(&s)+", "+span, m.width)
	table := string(appendBreakdown(nil, &s, "  ", m.width, m.color))
	return append([]string{m.style(string(title), styleBold)}, strings.Split(strings.TrimSuffix(table, "\n"), "\n")...)
}

func (m *model) style(s, sequence string) string {
	if !m.color {
		return s
	}
	return sequence + s + styleEnd
}
