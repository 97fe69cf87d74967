package console

import (
	"bytes"
	"strconv"

	"lapwing/collectors/request"
)

// column is one column of the table of services.
type column struct {
	title string
	width int
	left  bool
	bar   bool
	text  func(*Table, *ServiceStats) string
}

// The widths of the table in cells: those of its parts, and those at which it
// grows.
const (
	serviceCells  = 16
	durationCells = 6
	minBarCells   = 16
	maxBarCells   = 40
	minTableWidth = 52 // the columns that are always there
)

// columnsFor returns the columns that fit into width cells, the bar last. Wider
// tables add the p95 of each phase, then the p50 and p99 as well.
func columnsFor(width int) []column {
	head := []column{
		{title: "SERVICE", width: serviceCells, left: true, text: func(_ *Table, s *ServiceStats) string { return s.Service }},
		{title: "REQ/S", width: 8, text: func(t *Table, s *ServiceStats) string { return rateText(t.Rate(s.Requests)) }},
		{title: "ERR%", width: 5, text: func(_ *Table, s *ServiceStats) string { return percent(s.Errors, s.Requests) }},
		{title: "P50", width: durationCells, text: total(p50)},
		{title: "P95", width: durationCells, text: total(p95)},
		{title: "P99", width: durationCells, text: total(p99)},
	}
	var columns []column
	for _, phases := range [][]column{allPercentiles(), onePercentile(), nil} {
		columns = append(head[:len(head):len(head)], phases...)
		if widthOf(columns)+1+minBarCells <= width {
			break
		}
	}
	if bar := min(maxBarCells, width-widthOf(columns)-1); bar > 0 {
		columns = append(columns, column{title: "TIME BY PHASE", width: bar, left: true, bar: true})
	}
	return columns
}

// percentiles reports whether the columns include the percentiles of every
// phase.
func percentiles(columns []column) bool {
	return len(columns) > 6+3*int(request.NumPhases)
}

func widthOf(columns []column) int {
	n := -1
	for _, c := range columns {
		n += c.width + 1
	}
	return n
}

// A pick returns one figure of a Stats as text.
type pick func(Stats) string

func p50(s Stats) string { return duration(s.P50) }
func p95(s Stats) string { return duration(s.P95) }
func p99(s Stats) string { return duration(s.P99) }
func sum(s Stats) string { return duration(s.Sum) }

// of returns the figure, or a dash if nothing was measured.
func (p pick) of(s Stats) string {
	if s.Count == 0 {
		return "-"
	}
	return p(s)
}

func total(p pick) func(*Table, *ServiceStats) string {
	return func(_ *Table, s *ServiceStats) string { return p.of(s.Duration) }
}

func phase(i request.Phase, p pick) func(*Table, *ServiceStats) string {
	return func(_ *Table, s *ServiceStats) string { return p.of(s.Phases[i]) }
}

func allPercentiles() []column {
	var columns []column
	for i := range request.NumPhases {
		letter := string(glyphs[i])
		columns = append(columns,
			column{title: letter + ".P50", width: durationCells, text: phase(i, p50)},
			column{title: letter + ".P95", width: durationCells, text: phase(i, p95)},
			column{title: letter + ".P99", width: durationCells, text: phase(i, p99)})
	}
	return columns
}

func onePercentile() []column {
	var columns []column
	for i := range request.NumPhases {
		columns = append(columns, column{title: string(glyphs[i]) + ".P95", width: durationCells, text: phase(i, p95)})
	}
	return columns
}

// appendHeads writes the titles of the columns.
func appendHeads(b []byte, columns []column) []byte {
	for i, c := range columns {
		if i > 0 {
			b = append(b, ' ')
		}
		if c.left {
			b = appendLeft(b, c.title, c.width)
		} else {
			b = appendRight(b, c.title, c.width)
		}
	}
	return bytes.TrimRight(b, " ")
}

// appendRow writes the columns of one service.
func appendRow(b []byte, columns []column, t *Table, s *ServiceStats, color bool) []byte {
	for i, c := range columns {
		if i > 0 {
			b = append(b, ' ')
		}
		switch {
		case c.bar:
			b = appendBar(b, s.spent(), c.width, color)
		case c.left:
			b = appendName(b, c.text(t, s), c.width)
		default:
			b = appendRight(b, c.text(t, s), c.width)
		}
	}
	return b
}

// appendBreakdown writes a table of the phases of one service: a row for each
// phase and one for the whole duration. Every line starts with indent.
func appendBreakdown(b []byte, s *ServiceStats, indent string, width int, color bool) []byte {
	const name, share = 10, 6
	bar := min(maxBarCells, width-len(indent)-name-5*(durationCells+1)-share-1)
	b = appendLeft(append(b, indent...), "PHASE", name)
	for _, title := range [...]string{"P50", "P95", "P99", "SUM"} {
		b = appendRight(append(b, ' '), title, durationCells)
	}
	b = append(appendRight(append(b, ' '), "SHARE%", share), '\n')
	spent := s.spent()
	for i := range request.NumPhases {
		b = appendFigures(append(b, indent...), i.String(), name, s.Phases[i])
		part := pick(func(Stats) string { return percent(spent[i], sumOf(spent)) })
		b = appendRight(append(b, ' '), part.of(s.Phases[i]), share)
		var only [request.NumPhases]uint64
		only[i] = spent[i]
		if cells := divide(spent, bar)[i]; cells > 0 {
			b = appendBar(append(b, ' '), only, cells, color)
		}
		b = append(b, '\n')
	}
	return append(appendFigures(append(b, indent...), "duration", name, s.Duration), '\n')
}

func appendFigures(b []byte, name string, width int, s Stats) []byte {
	b = appendLeft(b, name, width)
	for _, p := range [...]pick{p50, p95, p99, sum} {
		b = appendRight(append(b, ' '), p.of(s), durationCells)
	}
	return b
}

func sumOf(spent [request.NumPhases]uint64) (sum uint64) {
	for _, v := range spent {
		sum += v
	}
	return sum
}

// rateText writes events per second in at most eight cells.
func rateText(rate float64) string {
	switch {
	case rate == 0:
		return "0"
	case rate < 0.05:
		return "<0.1"
	case rate < 100:
		return strconv.FormatFloat(rate, 'f', 1, 64)
	case rate < 1e8-1:
		return strconv.FormatFloat(rate, 'f', 0, 64)
	}
	return strconv.FormatFloat(rate, 'g', 2, 64)
}

// percent returns part as a percentage of whole, to a tenth. A part that is not
// zero is never shown as 0 %, and one that is not the whole is never shown as
// 100 %.
func percent(part, whole uint64) string {
	switch {
	case whole == 0:
		return "-"
	case part == 0:
		return "0"
	case part >= whole:
		return "100"
	}
	p := float64(part) / float64(whole) * 100
	return strconv.FormatFloat(min(99.9, max(0.1, p)), 'f', 1, 64)
}
