package console

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"lapwing/collectors/request"
)

// A part of a phase gets a note if it takes at least this long, and at least
// 1/noteShare of the duration of the request.
const (
	noteMin   = time.Millisecond
	noteShare = 20
)

// layout is the width of each column of a line, in cells. A column of zero
// cells is left out, together with the space before it.
type layout struct {
	clock                                    string // layout of the time, as in package time
	service, pid, request, bar, phase, notes int
	digits                                   int // significant digits of durations
	minRequest                               int // what the note of an unusual request leaves of its path
}

const (
	statusCells = 3
	minWidth    = 40 // narrower terminals get lines of this width
	minNote     = 6  // flags are added to a note only if at least this many cells are left
)

// newLayout divides a line of the given width. The narrower the line, the fewer
// columns it has. At 80 cells the process and the notes are left out, and notes
// take the place of the bar.
func newLayout(width int) layout {
	if width <= 0 {
		width = unknownWidth
	}
	width = max(width, minWidth)
	var l layout
	switch {
	case width >= 150:
		l = layout{clock: "15:04:05.000", service: 16, pid: 7, bar: 20, phase: 6, digits: 3}
	case width >= 110:
		l = layout{clock: "15:04:05.000", service: 12, pid: 7, bar: 12, phase: 5, digits: 2}
	default:
		return narrowLayout(width)
	}
	free := width - l.taken()
	l.request = min(48, max(16, free*11/20))
	l.notes = free - l.request - 1
	return l
}

func narrowLayout(width int) layout {
	l := layout{clock: time.TimeOnly, service: 8, bar: 10, phase: 5, digits: 2, minRequest: 10}
	if width-l.taken() < l.minRequest {
		l.phase = 0
	}
	if width-l.taken() < l.minRequest {
		l.bar = 0
	}
	l.request = width - l.taken()
	return l
}

// durationCells returns the width of one duration.
func (l layout) durationCells() int { return l.digits + 3 }

// taken returns the width of all columns except request and notes, with the
// space before each of them and the one before the request.
func (l layout) taken() int {
	n := len(l.clock) + 1 + l.service + 1 + statusCells + 1 + l.durationCells() + 1
	if l.pid > 0 {
		n += l.pid + 1
	}
	if l.bar > 0 {
		n += l.bar + 1
	}
	if l.phase > 0 {
		n += int(request.NumPhases) * (l.phase + 1)
	}
	return n
}

// lines turns requests into lines of text. It is not safe for concurrent use.
type lines struct {
	layout
	color bool
	times *request.Clock
	note  []byte // scratch buffer
}

// appendHeader writes the legend and the column heads.
func (l *lines) appendHeader(b []byte) []byte {
	b = l.style(b, styleDim)
	b, _ = appendText(b, legend, max(minWidth, l.taken()+l.request))
	b = append(b, '\n')
	b = append(appendLeft(b, "TIME", len(l.clock)), ' ')
	b = append(appendLeft(b, "SERVICE", l.service), ' ')
	if l.pid > 0 {
		b = append(appendRight(b, "PID", l.pid), ' ')
	}
	b = append(appendRight(b, "ST", statusCells), ' ')
	b = append(appendRight(b, "TOTAL", l.durationCells()), ' ')
	b = appendLeft(b, "REQUEST", l.request)
	if l.bar > 0 {
		b = appendLeft(append(b, ' '), "PHASES", l.bar)
	}
	if l.phase > 0 {
		for _, name := range [...]string{"QUEUE", "PARSE", "APP", "WRITE"} {
			b = appendRight(append(b, ' '), name, l.phase)
		}
	}
	if l.notes > 0 {
		b, _ = appendText(append(b, ' '), "NOTES", l.notes)
	}
	return append(l.style(b, styleEnd), '\n')
}

// appendLine writes the line of one request.
func (l *lines) appendLine(b []byte, r *request.Request) []byte {
	b = append(l.appendTime(b, r), ' ')
	b = append(appendName(b, r.Service, l.service), ' ')
	if l.pid > 0 {
		b = append(l.appendUint(b, uint64(r.PID), l.pid), ' ')
	}
	b = append(l.appendStatus(b, r), ' ')
	total, ok := r.Duration()
	b = append(l.appendDuration(b, total, ok, l.durationCells()), ' ')

	bounds := r.Bounds()
	phases, _ := r.Phases()
	b = l.appendRequestAndBar(b, r, phases)
	if l.phase > 0 {
		for p := range request.NumPhases {
			b = l.appendDuration(append(b, ' '), phases[p], bounds.Known(p), l.phase)
		}
	}
	return l.appendCalls(append(l.appendNotes(b, r), '\n'), r)
}

func (l *lines) appendTime(b []byte, r *request.Request) []byte {
	at := r.Arrived
	if !at.Seen() {
		at = r.End()
	}
	if !at.Seen() {
		return appendLeft(b, "-", len(l.clock))
	}
	return l.times.Time(at).AppendFormat(b, l.clock)
}

func (l *lines) appendStatus(b []byte, r *request.Request) []byte {
	if !r.Failed() {
		return l.appendUint(b, uint64(r.Status), statusCells)
	}
	b = l.style(b, styleRed)
	b = l.appendUint(b, uint64(r.Status), statusCells)
	return l.style(b, styleEnd)
}

// appendUint writes a number; zero means that it was not seen.
func (l *lines) appendUint(b []byte, v uint64, width int) []byte {
	if v == 0 {
		return appendRight(b, "-", width)
	}
	var scratch [20]byte
	return appendRight(b, strconv.AppendUint(scratch[:0], v, 10), width)
}

func (l *lines) appendDuration(b []byte, d time.Duration, known bool, width int) []byte {
	if !known {
		return appendRight(b, "-", width)
	}
	var scratch [32]byte
	return appendRight(b, appendDuration(scratch[:0], d, l.digits), width)
}

// appendRequestAndBar writes the method, the path and the bar. In a line
// without a notes column, an error, a flag or a noteworthy part takes the place
// of the bar: the numbers of the phases are next to it.
func (l *lines) appendRequestAndBar(b []byte, r *request.Request, phases request.Phases) []byte {
	if l.notes == 0 && l.bar > 0 {
		most := l.bar + l.request - l.minRequest
		l.note = l.appendFittingParts(l.appendError(l.note[:0], r), r, most)
		if len(l.note)+minNote <= most {
			l.note = appendFlags(l.note, r)
		}
		if len(l.note) > 0 {
			cells := min(most, max(l.bar, len(l.note)))
			b = l.appendRequest(b, r, l.request+l.bar-cells)
			b = l.style(append(b, ' '), noteStyle(r))
			return l.style(appendLeft(b, l.note, cells), styleEnd)
		}
	}
	b = l.appendRequest(b, r, l.request)
	if l.bar > 0 {
		b = appendBar(append(b, ' '), spent(phases), l.bar, l.color)
	}
	return b
}

func (l *lines) appendRequest(b []byte, r *request.Request, width int) []byte {
	method := r.Method
	if method == "" {
		method = "-"
	}
	b, shift := appendDepth(b, r.Depth, width)
	width -= shift
	b, cells := appendText(b, method, width)
	if len(r.Path) == 0 || cells+2 > width {
		return appendSpaces(b, width-cells)
	}
	return appendLeft(append(b, ' '), r.Path, width-cells-1)
}

// appendDepth indents a request that another request on this host caused. It
// returns the cells it took.
func appendDepth(b []byte, depth, width int) ([]byte, int) {
	depth = min(depth, 4)
	if depth == 0 || width < 3*depth+12 {
		return b, 0
	}
	b = appendSpaces(b, 2*(depth-1))
	return append(b, "└ "...), 2 * depth
}

// appendNotes writes the last column, without blanks at the end of the line.
func (l *lines) appendNotes(b []byte, r *request.Request) []byte {
	if l.notes == 0 {
		return b
	}
	l.note = appendParts(l.appendUnusual(l.note[:0], r), r)
	if len(l.note) == 0 {
		return b
	}
	b = l.style(append(b, ' '), noteStyle(r))
	b, _ = appendText(b, l.note, l.notes)
	return l.style(b, styleEnd)
}

func (l *lines) style(b []byte, sequence string) []byte {
	if l.color {
		return append(b, sequence...)
	}
	return b
}

func noteStyle(r *request.Request) string {
	if r.Failed() {
		return styleRed
	}
	return styleNoted
}

// appendUnusual writes the error and the flags. An error that only repeats the
// status is already in the status column. If there is room, an error without a
// duration is shown with its time.
func (l *lines) appendUnusual(b []byte, r *request.Request) []byte {
	return appendFlags(l.appendError(b, r), r)
}

func (l *lines) appendError(b []byte, r *request.Request) []byte {
	if r.Error != "" && r.Error != strconv.Itoa(r.Status) {
		b = append(b, r.Error...)
		if _, ok := r.Duration(); !ok && l.notes > 0 && r.Arrived.Seen() && r.End() > r.Arrived {
			b = append(b, " after "...)
			b = appendDuration(b, time.Duration(r.End()-r.Arrived), 3)
		}
	}
	return b
}

func appendFlags(b []byte, r *request.Request) []byte {
	for _, name := range r.Flags.Names() {
		b = append(comma(b), name...)
	}
	return b
}

// appendParts writes the parts that took noteworthy time.
func appendParts(b []byte, r *request.Request) []byte {
	total, _ := r.Duration()
	for _, part := range r.Parts() {
		if part.Duration < max(noteMin, total/noteShare) {
			continue
		}
		b = append(append(comma(b), part.Part.String()...), ' ')
		b = appendDuration(b, part.Duration, 3)
	}
	return b
}

// appendFittingParts writes the parts that took noteworthy time and fit into at
// most this many cells, the longest first. If the phases have no numbers, the
// bar is more useful.
func (l *lines) appendFittingParts(b []byte, r *request.Request, most int) []byte {
	if l.phase == 0 {
		return b
	}
	total, _ := r.Duration()
	parts := r.Parts()
	slices.SortStableFunc(parts, func(a, b request.PartDuration) int { return cmp.Compare(b.Duration, a.Duration) })
	for _, part := range parts {
		if part.Part == request.PartDrain || part.Duration < max(noteMin, total/noteShare) {
			continue
		}
		before := len(b)
		b = append(append(comma(b), part.Part.String()...), ' ')
		b = appendDuration(b, part.Duration, l.digits)
		if len(b) > most {
			return b[:before]
		}
	}
	return b
}

func comma(b []byte) []byte {
	if len(b) == 0 {
		return b
	}
	return append(b, ", "...)
}

func spent(phases request.Phases) (out [request.NumPhases]uint64) {
	for p, d := range phases {
		out[p] = uint64(d)
	}
	return out
}
