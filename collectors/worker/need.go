package worker

import "time"

// needSpan is the minimum time over which arrivals are counted.
const needSpan = time.Second

// need returns how many workers would have been busy on average since the earliest
// moment that is remembered, if no request had waited: the requests that arrived
// per second, times the seconds that one takes (Little's law). Requests that wait
// now have arrived, too. Clients that were turned away are not known individually.
// If there were any, least is true. known is false if it is not known how long a
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

// takes returns how long a worker is busy with a request: with recent ones, else
// with all so far. For event loops this is CPU time.
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
