package worker

import "time"

// needSpan is the least time over which arrivals are counted.
const needSpan = time.Second

// need is how many workers would have been busy on average since the earliest
// moment that is remembered, had no request waited: requests that arrived per
// second, times the seconds that one takes (Little's law). What waits now
// arrived too. Clients that were turned away are not known one by one: if there
// were some, the figure is the least. It is false where nothing tells how long a
// request takes.
func (p *pool) need(now moment) (need float64, least, known bool) {
	if len(p.past) == 0 || !p.observed.fixed {
		return 0, false, false
	}
	before := p.past[0]
	span := time.Duration(now.at - before.at)
	took, known := p.takes(before, now)
	if !known || span < needSpan {
		return 0, false, false
	}
	arrived := float64(now.served-before.served) + float64(now.system-before.system)
	return max(0, arrived) * took.Seconds() / span.Seconds(), now.drops > before.drops, true
}

// takes is how long a worker is busy with a request: with the last ones, or else
// with all. Of event loops that is CPU time.
func (p *pool) takes(before, now moment) (time.Duration, bool) {
	loops := 0
	for _, w := range p.workers {
		if w.loop() {
			loops++
		}
	}
	switch {
	case loops > 0 && now.served > before.served:
		return (now.busy - before.busy) / time.Duration(now.served-before.served), true
	case loops > 0:
		return 0, false
	case now.measured > before.measured:
		return (now.service - before.service) / time.Duration(now.measured-before.measured), true
	case now.measured > 0:
		return now.service / time.Duration(now.measured), true
	}
	return 0, false
}
