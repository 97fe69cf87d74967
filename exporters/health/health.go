package health

import (
	"slices"
	"strconv"
	"strings"
)

// Labels distinguish the values of a counter, in the order of Counter.By.
type Labels [2]string

// Counts are the values of a counter. A counter that is a single number has one
// value, without labels.
type Counts map[Labels]uint64

// Health is a snapshot of all counters. Those that were not read are zero.
type Health map[*Counter]Counts

// Func takes a snapshot. It is safe for concurrent use.
type Func func() Health

// Of returns the value of a counter without labels.
func Of(n uint64) Counts { return Counts{{}: n} }

// By returns the values of a counter that has one label. Zeros are left out.
func By(values map[string]uint64) Counts {
	counts := make(Counts, len(values))
	for value, n := range values {
		if n > 0 {
			counts[Labels{value}] = n
		}
	}
	return counts
}

// ByBoth returns the values of a counter that has two labels. Zeros are left out.
func ByBoth(values map[string]map[string]uint64) Counts {
	counts := make(Counts)
	for first, seconds := range values {
		for second, n := range seconds {
			if n > 0 {
				counts[Labels{first, second}] = n
			}
		}
	}
	return counts
}

// Total returns the sum of a counter's values.
func (h Health) Total(c *Counter) (sum uint64) {
	for _, n := range h[c] {
		sum += n
	}
	return sum
}

// Causes returns the values of a counter by its last label, summed over the
// other.
func (h Health) Causes(c *Counter) map[string]uint64 {
	causes := make(map[string]uint64)
	for labels, n := range h[c] {
		causes[labels[max(0, len(c.By)-1)]] += n
	}
	return causes
}

// Scopes returns the values of a counter with two labels, by the first and the
// second.
func (h Health) Scopes(c *Counter) map[string]map[string]uint64 {
	scopes := make(map[string]map[string]uint64)
	for labels, n := range h[c] {
		if scopes[labels[0]] == nil {
			scopes[labels[0]] = make(map[string]uint64)
		}
		scopes[labels[0]][labels[1]] += n
	}
	return scopes
}

// Sorted returns the labels of a counter's values, in order.
func (h Health) Sorted(c *Counter) []Labels {
	var all []Labels
	for labels := range h[c] {
		all = append(all, labels)
	}
	slices.SortFunc(all, func(a, b Labels) int { return slices.Compare(a[:], b[:]) })
	return all
}

// Account returns the whole snapshot by the keys of the counters, for JSON. A
// value is a number, a map of numbers by cause, or a map of such maps. What did
// not happen is left out of the maps.
func (h Health) Account() map[string]any {
	account := make(map[string]any, len(Table))
	for _, c := range Table {
		switch {
		case len(c.By) == 0:
			account[c.Key] = h.Total(c)
		case c.Apart:
			account[c.Key] = h.Scopes(c)
		default:
			account[c.Key] = h.Causes(c)
		}
	}
	return account
}

// Phrase returns a number with its noun: "1 tunnel", "3 tunnels".
func Phrase(n uint64, words string) string {
	if n == 1 {
		words = strings.TrimSuffix(words, "s")
	}
	return strconv.FormatUint(n, 10) + " " + words
}
