package worker

import (
	"cmp"
	"slices"

	"lapwing/collectors/request"
)

// maxSpans bounds the spans that a peak keeps between two looks. With more,
// the peak looks early: what is still in progress then may be missed, so the
// result can be too low, never too high.
const maxSpans = 4096

// span is a time in which something was in use: a worker, a place in a backlog.
type span struct {
	start, end request.Stamp
	who        uint64 // tells spans apart that begin at the same time
}

// peak finds the highest number of spans that overlap. Spans become known when
// they end, so the past is settled only some time later, with the help of
// those that are still going on.
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
	if len(p.spans) < maxSpans { // as many still going on: the result is too low
		p.spans = append(p.spans, s)
	}
}

// settle takes everything up to a moment for known; live are the spans that
// have not ended, or of which it is not known here.
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

// sweep counts what overlaps at each begin of a span up to a moment.
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

// bounds sorts the begins and the ends of all spans, each span once.
func (p *peak) bounds() {
	known := slices.Clone(p.spans)
	slices.SortFunc(known, func(a, b span) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.who, b.who), cmp.Compare(a.end, b.end))
	})
	// A span that is going on by one account and has ended by another has ended.
	known = slices.CompactFunc(known, func(a, b span) bool { return a.start == b.start && a.who == b.who })
	p.starts, p.ends = p.starts[:0], p.ends[:0]
	for _, s := range known {
		p.starts = append(p.starts, s.start)
		p.ends = append(p.ends, s.end)
	}
	slices.Sort(p.ends)
}
