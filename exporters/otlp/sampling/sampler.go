package sampling

import (
	"encoding/binary"
	"math"
	"strconv"
	"strings"
	"time"

	"lapwing/collectors/request"
	"lapwing/collectors/service"
)

// reason is why a request was kept.
type reason uint8

const (
	sampledOut reason = iota
	keptByRatio
	keptByParent
	keptSlow
	keptFailed
	numReasons
)

var reasonNames = [numReasons]string{"", "ratio", "parent", "slow", "failed"}

func (r reason) String() string { return reasonNames[r] }

// Verdict is the decision on one request. The zero value means that the request
// is not kept.
type Verdict struct {
	reason reason
	// chance is the probability with which a request like this one is kept; 0
	// if only the parent knows it.
	chance float64
	// over means that the request was not kept because the budget was spent
	// before its chance could be lowered.
	over bool
}

// Kept reports whether the request becomes a trace.
func (v Verdict) Kept() bool { return v.reason != sampledOut }

// OverBudget reports whether the request was not kept only because the budget of
// spans was spent before its chance could be lowered.
func (v Verdict) OverBudget() bool { return v.over }

// Reason returns why the request was kept: ratio, parent, slow or failed. It is
// empty if the request was not kept.
func (v Verdict) Reason() string { return v.reason.String() }

// Ratio returns the probability, above 0 and up to 1, with which a request like
// this one is kept. ok is false if only the parent knows it, or if the request
// was not kept.
func (v Verdict) Ratio() (ratio float64, ok bool) { return v.chance, v.chance > 0 }

// TraceState returns the tracestate of a request with the probability of the
// verdict as OpenTelemetry's sampling threshold (th). If only the parent knows
// the probability, it returns the state unchanged.
func (v Verdict) TraceState(state []byte) string {
	th := ""
	if v.chance > 0 {
		th = notation(threshold(v.chance))
	}
	return withThreshold(state, th)
}

// randomBits is the number of bits of a trace identifier that OpenTelemetry's
// consistent sampling takes as random: the last seven bytes.
const randomBits = 56

// threshold returns the number that the randomness of a trace must reach for
// the trace to be kept with a probability.
func threshold(chance float64) uint64 {
	return 1<<randomBits - uint64(math.Round(chance*(1<<randomBits)))
}

// notation returns a threshold as the th of tracestate: hex digits without
// trailing zeros.
func notation(threshold uint64) string {
	digits := strconv.FormatUint(1<<randomBits|threshold, 16)[1:]
	if digits = strings.TrimRight(digits, "0"); digits == "" {
		return "0"
	}
	return digits
}

// rule holds the sampling rules of one service.
type rule struct {
	ratio float64
	slow  time.Duration
}

// Sampler decides which requests become traces. It is not safe for concurrent
// use.
type Sampler struct {
	general      rule
	services     map[string]rule
	followParent bool
	keepFailed   bool
	recent       *recent // nil if no rule is relative
	budget       *budget // nil for no limit
}

// New returns a Sampler that has seen no requests yet. It does not validate c.
func New(c Config) *Sampler {
	s := &Sampler{
		general:      rule{c.Ratio, c.Slow},
		services:     make(map[string]rule, len(c.Services)),
		followParent: c.FollowParent,
		keepFailed:   c.KeepFailed,
	}
	for _, of := range c.Services {
		ratio, slow := c.forService(of)
		s.services[of.Service] = rule{ratio, slow}
	}
	if c.Slowest > 0 {
		s.recent = newRecent(c.Slowest)
	}
	if c.MaxSpansPerSecond > 0 {
		s.budget = newBudget(float64(c.MaxSpansPerSecond))
	}
	return s
}

// Decide returns the verdict on a request, and remembers the request for the
// verdicts on later ones. The request must have its trace identifier, see
// request.AssignIDs: a probability is compared with it. Decide only allocates
// for a service that it has not seen recently.
func (s *Sampler) Decide(r *request.Request) Verdict {
	v := s.judge(r)
	if v.reason == sampledOut {
		return Verdict{}
	}
	share, cost := 1.0, costOf(r)
	if s.budget != nil {
		share = s.budget.share(v.reason, v.odds(), cost, r.End())
	}
	if !v.luck(r, share) {
		return Verdict{}
	}
	if s.budget != nil && !s.budget.spend(cost) {
		return Verdict{over: true}
	}
	v.chance *= share
	return v
}

// ruleOf returns the rule of a service, or of the service that the pool belongs
// to.
func (s *Sampler) ruleOf(name string) rule {
	for len(s.services) > 0 {
		if own, ok := s.services[name]; ok {
			return own
		}
		at := strings.LastIndex(name, service.PoolSep)
		if at < 0 {
			break
		}
		name = name[:at]
	}
	return s.general
}

// judge finds the reason to keep a request, and its probability before the
// budget. The certain reasons come first, so that the ratio applies to the
// rest.
func (s *Sampler) judge(r *request.Request) Verdict {
	rule := s.ruleOf(r.Service)
	slow := s.isSlow(r, rule)
	switch {
	case s.keepFailed && r.Failed():
		return Verdict{reason: keptFailed, chance: 1}
	case slow:
		return Verdict{reason: keptSlow, chance: 1}
	case s.followParent && r.ParentSpanID != [8]byte{} && !r.ParentLocal:
		if r.Sampled {
			return Verdict{reason: keptByParent, chance: stateChance(r.TraceState)}
		}
		return Verdict{}
	case rule.ratio > 0:
		return Verdict{reason: keptByRatio, chance: rule.ratio}
	}
	return Verdict{}
}

// isSlow compares a request with the limit of its service and with the recent
// requests of the service. The request is then added to these.
func (s *Sampler) isSlow(r *request.Request, rule rule) bool {
	took := elapsed(r)
	relative := s.recent != nil && s.recent.isSlow(r.Service, took, r.End())
	return relative || (rule.slow > 0 && took >= rule.slow)
}

// odds returns the probability that a request with this verdict is kept if the
// budget has room. A decision of the parent leaves nothing to chance.
func (v Verdict) odds() float64 {
	if v.reason == keptByParent {
		return 1
	}
	return v.chance
}

// luck reports whether the request is in the share that the budget has room
// for. All agents that see a trace get the same result.
func (v Verdict) luck(r *request.Request, share float64) bool {
	chance := share
	if v.chance > 0 {
		chance *= v.chance
	}
	if chance >= 1 || (v.reason == keptByParent && share >= 1) {
		return true
	}
	return randomness(r) >= threshold(chance)
}

// elapsed returns the duration of r, or how long it was seen if it never
// finished.
func elapsed(r *request.Request) time.Duration {
	if end := r.End(); r.Arrived.Seen() && end > r.Arrived {
		return time.Duration(end - r.Arrived)
	}
	return 0
}

// randomness returns the number that consistent sampling compares: the one in
// the tracestate, or else the end of the trace identifier.
func randomness(r *request.Request) uint64 {
	if rv, ok := stateRandomness(r.TraceState); ok {
		return rv
	}
	return binary.BigEndian.Uint64(r.TraceID[8:]) & (1<<randomBits - 1)
}
