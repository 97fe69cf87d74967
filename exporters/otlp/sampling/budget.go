package sampling

import (
	"cmp"
	"math"
	"slices"
	"time"

	"lapwing/collectors/request"
)

const (
	// spansPerRequest is the cost of a request in spans: its own span and its
	// phases. Each call of its server adds one.
	spansPerRequest = 5
	// minBudget lets about one request per second through.
	minBudget = 2 * spansPerRequest
	// budgetStep is how often demand and supply are compared.
	budgetStep = 100 * time.Millisecond
	// budgetMemory is how long a peak of the demand is remembered.
	budgetMemory = 2 * time.Second
	// budgetBurst is the amount that may be spent at once, in seconds of the
	// budget.
	budgetBurst = 1.0
)

// budget divides a number of spans per second among the reasons to keep a
// request. A reason that asks for less than an even share gets everything it
// asks for. The rest is divided evenly among the others. So a flood of failures
// leaves room for slow requests and for the constant ratio, and vice versa.
//
// The budget changes probabilities, which are recorded in the span, instead of
// dropping what comes last. Only a flood that is faster than budgetStep is cut
// off. The time is that of the ends of the requests.
type budget struct {
	rate   float64 // spans per second
	tokens float64 // spans that may be kept now
	now    request.Stamp
	step   request.Stamp // the start of the current step

	asked  [numReasons]float64 // spans, in the current step
	demand [numReasons]float64 // spans per second
	shares [numReasons]float64 // the part of the demand that is met, 0 to 1
}

func newBudget(rate float64) *budget {
	b := &budget{rate: rate, tokens: rate * budgetBurst}
	for i := range b.shares {
		b.shares[i] = 1
	}
	return b
}

// costOf returns the number of spans that a request becomes.
func costOf(r *request.Request) float64 { return float64(spansPerRequest + len(r.Calls)) }

// share counts a request that would be kept with a probability, and returns the
// share of such requests that there is room for.
func (b *budget) share(reason reason, odds, cost float64, end request.Stamp) float64 {
	b.advance(end)
	b.asked[reason] += odds * cost
	return b.shares[reason]
}

// spend takes the cost of a request, if it is available.
func (b *budget) spend(cost float64) bool {
	if b.tokens < cost {
		return false
	}
	b.tokens -= cost
	return true
}

func (b *budget) advance(end request.Stamp) {
	switch {
	case !b.now.Seen():
		b.now, b.step = end, end
		return
	case end <= b.now:
		return
	}
	b.tokens = min(b.tokens+time.Duration(end-b.now).Seconds()*b.rate, b.rate*budgetBurst)
	b.now = end
	if passed := time.Duration(end - b.step); passed >= budgetStep {
		b.compare(passed.Seconds())
		b.step = end
	}
}

// compare updates the demand from what was asked for in a step. The demand
// follows a rise at once and a fall slowly.
func (b *budget) compare(seconds float64) {
	keep := math.Exp(-seconds / budgetMemory.Seconds())
	for i, asked := range b.asked {
		rate := asked / seconds
		b.demand[i] = max(rate, rate+(b.demand[i]-rate)*keep)
		b.asked[i] = 0
	}
	b.divide()
}

// divide computes the shares, starting with the reason of least demand. Each
// reason gets what it asks for, up to an even part of what is left.
func (b *budget) divide() {
	order := [numReasons]int{}
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order[:], func(i, j int) int { return cmp.Compare(b.demand[i], b.demand[j]) })
	left := b.rate
	for at, i := range order {
		even := left / float64(len(order)-at)
		given := min(b.demand[i], even)
		left -= given
		b.shares[i] = 1
		if given < b.demand[i] {
			b.shares[i] = given / b.demand[i]
		}
	}
}
