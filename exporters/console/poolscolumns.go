package console

import (
	"math"
	"slices"
	"strconv"
)

// poolColumn is a column of the table of pools.
type poolColumn struct {
	title string
	width int
	text  func(*poolView) string
	spare int // on a narrow terminal the column with the highest value is dropped first; 0 is never dropped
}

var poolColumns = []poolColumn{
	{"POOL", 4, ofWorkers(func(p *poolView) int { return p.Workers }), 0},
	{"BUSY", 4, ofWorkers(func(p *poolView) int { return p.Busy }), 0},
	{"HELD", 4, ofWorkers(func(p *poolView) int { return p.Held }), 0},
	{"FREE", 4, ofWorkers(func(p *poolView) int { return p.Available }), 0},
	{"UTIL%", 5, func(p *poolView) string { return known(p.Utilisation, percentText) }, 0},
	{"MOST", 4, ofWorkers(func(p *poolView) int { return p.MaxBusy }), 1},
	{"NEED", 5, func(p *poolView) string { return needText(p) }, 0},
	{"BACKLOG", 9, backlogText, 0},
	{"MAX", 4, func(p *poolView) string { return strconv.Itoa(p.BacklogMax) }, 2},
	{"DROPS", 5, dropsText, 0},
	{"WAIT", 4, func(p *poolView) string { return strconv.Itoa(p.Dispatch) }, 0},
	{"REQ/S", 6, func(p *poolView) string { return known(p.Rate, rateText) }, 0},
}

// ofWorkers returns a function for a number of workers, if they are known.
func ofWorkers(n func(*poolView) int) func(*poolView) string {
	return func(p *poolView) string { return optional(!p.Hidden, strconv.Itoa(n(p))) }
}

// poolColumnsFor returns the columns that fit next to the name.
func poolColumnsFor(width int) []poolColumn {
	shown := slices.Clone(poolColumns)
	for {
		used := serviceCells
		last := 0
		for i, c := range shown {
			used += 1 + c.width
			if c.spare > shown[last].spare {
				last = i
			}
		}
		if used <= width || shown[last].spare == 0 {
			return shown
		}
		shown = slices.Delete(shown, last, last+1)
	}
}

// poolHead returns the head of the table.
func poolHead(width int) string {
	line := appendLeft(nil, "SERVICE", serviceCells)
	for _, c := range poolColumnsFor(width) {
		line = appendRight(append(line, ' '), c.title, c.width)
	}
	return string(line)
}

// poolRow returns a pool as one line.
func poolRow(p *poolView, width int) string {
	line := appendName(nil, p.Service, serviceCells)
	for _, c := range poolColumnsFor(width) {
		line = appendRight(append(line, ' '), c.text(p), c.width)
	}
	return string(line)
}

// known returns the figure as text, or a dash if it is unknown.
func known(figure *float64, text func(float64) string) string {
	if figure == nil {
		return "-"
	}
	return text(*figure)
}

// dropsText returns the number of certain drops, and whether there may have
// been more.
func dropsText(p *poolView) string {
	switch {
	case !p.OverflowsAtLeast:
		return strconv.FormatUint(p.Overflows, 10)
	case p.Overflows == 0:
		return "-"
	}
	return strconv.FormatUint(p.Overflows, 10) + "+"
}

// needText rounds up: a worker that is needed in part is needed.
func needText(p *poolView) string {
	text := known(p.Needed, func(n float64) string { return strconv.Itoa(int(math.Ceil(n - 0.05))) })
	if p.NeededAtLeast && p.Needed != nil {
		text += "+"
	}
	return text
}
