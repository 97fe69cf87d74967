package console

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	byteunits "github.com/docker/go-units"

	"lapwing/collectors/worker"
	"lapwing/exporters/health"
)

// poolsLegend explains the scoreboard.
const poolsLegend = "_ available  R reading  W in the application  S sending  K held by an idle connection  ? unknown"

// mostRows is the highest number of workers of a pool that the text lists.
const mostRows = 32

// poolsText writes the pools every interval, for logs and for pipes.
type poolsText struct {
	w     io.Writer
	width int
	begun bool // the legend has been written
}

func (r *poolsText) write(t poolTable, h health.Health) error {
	span := "interval"
	if t.Final {
		span = "since the start"
	}
	lines := []string{fmt.Sprintf("%s  %s %s  %s", t.At.Format(time.DateTime), span, duration(t.Elapsed), health.Phrase(uint64(len(t.Pools)), "pools"))}
	if len(t.Pools) > 0 && !r.begun {
		r.begun = true
		lines = append(lines, wrapText(poolsLegend, r.width)...)
	}
	for i := range t.Pools {
		lines = append(append(lines, poolHead(r.width)), poolLines(&t.Pools[i], r.width)...)
		lines = append(lines, workerLines(&t.Pools[i], mostRows)...)
	}
	lines = append(lines, wrap(poolFacts(t, h), r.width)...)
	var b []byte
	for _, line := range append(lines, "") {
		b = append(append(b, fit(line, r.width)...), '\n')
	}
	_, err := r.w.Write(b)
	return err
}

// poolLines returns a pool as one line, and its scoreboard.
func poolLines(p *poolView, width int) []string {
	lines := []string{poolRow(p, width)}
	board := scoreboard(p)
	room := max(8, width-4)
	for len(board) > room {
		lines = append(lines, "  "+board[:room])
		board = board[room:]
	}
	return append(lines, "  "+board)
}

// backlogText returns the length of the backlog, and its limit if that is
// known.
func backlogText(p *poolView) string {
	if len(p.Listeners) == 0 {
		return "-"
	}
	return strconv.Itoa(p.BacklogLen) + "/" + strconv.Itoa(p.BacklogLimit)
}

// scoreboard returns one character for each worker.
func scoreboard(p *poolView) string {
	b := make([]byte, 0, len(p.PerWorker))
	for i := range p.PerWorker {
		b = append(b, scoreOf(&p.PerWorker[i]))
	}
	return string(b)
}

func scoreOf(w *worker.Worker) byte {
	switch w.State {
	case worker.Held:
		return 'K'
	case worker.Unknown:
		return '?'
	case worker.Available:
		return '_'
	}
	switch w.Phase {
	case "parse":
		return 'R'
	case "write_back":
		return 'S'
	}
	return 'W'
}

const workerHead = "      PID     TID STATE               AGE   SERVED BUSY%  CPU%    RSS LONGEST"

// workerLines lists the workers, those that have been busy longest first.
func workerLines(p *poolView, most int) []string {
	views := slices.Clone(p.Views)
	slices.SortStableFunc(views, func(a, b workerView) int {
		return cmp.Or(cmp.Compare(urgency(&a), urgency(&b)), cmp.Compare(b.Age, a.Age))
	})
	lines := []string{workerHead}
	for i := range views[:min(most, len(views))] {
		lines = append(lines, workerLine(&views[i]))
	}
	if left := len(views) - most; left > 0 {
		lines = append(lines, fmt.Sprintf("  and %d more", left))
	}
	return lines
}

// urgency returns the sort order of the states.
func urgency(w *workerView) int {
	return slices.Index([]worker.State{worker.Busy, worker.Held, worker.Unknown, worker.Available}, w.State)
}

func workerLine(w *workerView) string {
	return fmt.Sprintf("  %7d %7s %-16s %6s %8d %5s %5s %6s %7s",
		w.PID, optional(w.TID != 0, strconv.Itoa(int(w.TID))), stateText(&w.Worker),
		optional(w.Age > 0, duration(w.Age)), w.Served, percentText(w.Busy), percentText(w.CPU),
		rssText(w.Process), optional(w.Longest > 0, duration(w.Longest)))
}

func optional(known bool, text string) string {
	if !known {
		return "-"
	}
	return text
}

// stateText returns the state of a worker, and what keeps it busy.
func stateText(w *worker.Worker) string {
	switch {
	case w.State == worker.Unknown && w.InFlight > 0:
		return fmt.Sprintf("? %d in flight", w.InFlight)
	case w.State == worker.Busy && w.InFlight > 1:
		return fmt.Sprintf("busy %d in flight", w.InFlight)
	case w.State == worker.Busy && w.Phase != "":
		return "busy " + w.Phase
	}
	return string(w.State)
}

func rssText(p *worker.Process) string {
	if p == nil {
		return "-"
	}
	return byteunits.CustomSize("%.3g%s", float64(p.RSS), 1024, []string{"B", "K", "M", "G", "T"})
}

func percentText(share float64) string {
	return strconv.FormatFloat(100*share, 'f', 0, 64)
}

// poolFacts returns the facts below the pools, first of all what the pools
// leave out.
func poolFacts(t poolTable, h health.Health) []string {
	facts := append(causes("left out", t.LeftOut), hostFacts(t.Host)...)
	return append(append(facts, abandonedFacts(h)...), healthFacts(h)...)
}

// mostAbandoned is the highest number of listeners that are named for
// connections that ended unread.
const mostAbandoned = 4

// abandonedFacts returns the numbers of connections that ended before they were
// accepted or read, for the listeners that have most of them.
func abandonedFacts(h health.Health) []string {
	all := h.Scopes(health.Abandoned)
	sum := func(listener string) (n uint64) {
		for _, count := range all[listener] {
			n += count
		}
		return n
	}
	listeners := slices.SortedFunc(maps.Keys(all), func(a, b string) int {
		return cmp.Or(cmp.Compare(sum(b), sum(a)), cmp.Compare(a, b))
	})
	var facts []string
	for _, listener := range listeners[:min(len(listeners), mostAbandoned)] {
		facts = append(facts, causes("abandoned at "+listener, all[listener])...)
	}
	return facts
}

// hostFacts returns the number of connections that listeners of the whole host
// dropped, if any.
func hostFacts(h worker.Host) []string {
	if h.ListenDrops == 0 && h.SYNDrops == 0 {
		return nil
	}
	return []string{fmt.Sprintf("host: %d connection attempts dropped by listeners (%d overflows), %d SYNs", h.ListenDrops, h.ListenOverflows, h.SYNDrops)}
}

// wrapText wraps text. Its parts are separated by double spaces.
func wrapText(text string, width int) []string {
	var lines []string
	for len(text) > width {
		cut := width
		for cut > 1 && text[cut-1:cut+1] != "  " {
			cut--
		}
		if cut == 1 {
			break
		}
		lines = append(lines, text[:cut-1])
		text = text[cut+1:]
	}
	return append(lines, text)
}
