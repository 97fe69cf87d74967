package worker

import (
	"slices"
	"time"

	"lapwing/collectors/request"
)

// maxCovered limits how many counted stretches a worker remembers.
const maxCovered = 8

// stretch is a time span.
type stretch struct{ from, to request.Stamp }

// covered are the latest stretches that were counted for a worker. They are in
// order and do not touch each other. A request becomes known when its connection is
// closed or quiet, so a request that a worker served earlier may come later.
type covered struct {
	times []stretch
	floor request.Stamp // the end of what was forgotten
}

// forgot reports whether everything that was counted around a moment is forgotten.
func (c *covered) forgot(at request.Stamp) bool { return at <= c.floor }

// free returns the first moment, not before at, that was not counted.
func (c *covered) free(at request.Stamp) request.Stamp {
	at = max(at, c.floor)
	for _, t := range c.times {
		if t.from <= at && at < t.to {
			return t.to
		}
	}
	return at
}

// add counts a stretch and returns how much of it is new.
func (c *covered) add(from, to request.Stamp) time.Duration {
	from = max(from, c.floor)
	if to <= from {
		return 0
	}
	first := len(c.times)
	for first > 0 && c.times[first-1].to >= from {
		first--
	}
	fresh, last, whole := to-from, first, stretch{from, to}
	for ; last < len(c.times) && c.times[last].from <= to; last++ {
		t := c.times[last]
		fresh -= min(to, t.to) - max(from, t.from)
		whole = stretch{min(whole.from, t.from), max(whole.to, t.to)}
	}
	c.times = slices.Replace(c.times, first, last, whole)
	c.forget()
	return time.Duration(fresh)
}

// after returns how much of what was counted is after a moment, as far as it is
// remembered.
func (c *covered) after(at request.Stamp) (sum time.Duration) {
	for _, t := range c.times {
		if t.to > at {
			sum += time.Duration(t.to - max(t.from, at))
		}
	}
	return sum
}

func (c *covered) forget() {
	if len(c.times) > maxCovered {
		c.floor = c.times[0].to
		c.times = slices.Delete(c.times, 0, 1)
	}
}
