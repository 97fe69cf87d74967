package worker

import (
	"cmp"
	"slices"

	"lapwing/collectors/request"
)

// maxSpans limits the spans that a peak keeps between two looks. If there are more,
// the peak is settled early. Spans that are then in progress may be missed, so the
// result can be too low but never too high.
const maxSpans = 4096

// span is a time in which something was in use: a worker, or a place in a backlog.
type span struct {
	start, end request.Stamp
	who        uint64 // distinguishes spans that start at the same time
}

// peak finds the highest number of overlapping spans. A span becomes known when it
// ends, so the past is settled some time later, together with the spans that are
// still in progress.
type peak struct {
	spans   []span
	starts  []request.Stamp // scratch
	ends    []request.Stamp
	settled request.Stamp
	max     int
}

// add takes a span that has ended.
func (p *peak) add(s span) {
	if len(p.spans) >= maxSpans {
		p.settle(s.end, nil)
	}
	if len(p.spans) < maxSpans { // if that many are still in progress, the result is too low
		p.spans = append(p.spans, s)
	}
}

// settle counts everything up to a moment. live are the spans that have not ended,
// or whose end is not known here.
func (p *peak) settle(until request.Stamp, live []span) {
	if until <= p.settled || len(p.spans)+len(live) == 0 {
		return
	}
	known := len(p.spans)
	p.spans = append(p.spans, live...)
	p.sweep(until)
	p.spans = slices.DeleteFunc(p.spans[:known], func(s span) bool { return s.end <= until })
	p.settled = until
}

// sweep counts the overlaps at the start of each span up to a moment.
func (p *peak) sweep(until request.Stamp) {
	p.bounds()
	ended := 0
	for i, at := range p.starts {
		for ended < len(p.ends) && p.ends[ended] <= at {
			ended++
		}
		if at > until {
			return
		}
		p.max = max(p.max, i+1-ended)
	}
}

// bounds sorts the starts and the ends of all spans. Each span counts once.
func (p *peak) bounds() {
	known := slices.Clone(p.spans)
	slices.SortFunc(known, func(a, b span) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.who, b.who), cmp.Compare(a.end, b.end))
	})
	// If a span is in both lists, in progress and ended, it has ended.
	known = slices.CompactFunc(known, func(a, b span) bool { return a.start == b.start && a.who == b.who })
	p.starts, p.ends = p.starts[:0], p.ends[:0]
	for _, s := range known {
		p.starts = append(p.starts, s.start)
		p.ends = append(p.ends, s.end)
	}
	slices.Sort(p.ends)
}
