package otlp

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"lapwing/collectors/request"
)

// SamplingConfig chooses the requests that become traces. It never touches
// counts: metrics and tables see every request.
type SamplingConfig struct {
	// Ratio is the share of requests to keep, 0 to 1. The choice depends on
	// the trace's identifier alone, so every agent makes the same one.
	Ratio float64 `koanf:"ratio"`
	// FollowParent lets the sampled flag of an incoming traceparent decide in
	// place of the ratio, so that traces stay whole. Switch it off where
	// clients are not trusted: they could have every request kept.
	FollowParent bool `koanf:"follow_parent"`
	// KeepFailed keeps every failed request, whatever else says.
	KeepFailed bool `koanf:"keep_failed"`
	// Slow keeps every request that took at least this long. Zero is off.
	Slow time.Duration `koanf:"slow"`
	// Services holds what differs for single services.
	Services []ServiceSampling `koanf:"services"`
}

// ServiceSampling replaces values of SamplingConfig for one service. A nil
// value leaves the general one.
type ServiceSampling struct {
	Service string         `koanf:"service"`
	Ratio   *float64       `koanf:"ratio"`
	Slow    *time.Duration `koanf:"slow"`
}

func (c SamplingConfig) check() error {
	if err := checkRule("sampling.", c.Ratio, c.Slow); err != nil {
		return err
	}
	seen := make(map[string]bool, len(c.Services))
	for i, s := range c.Services {
		key := fmt.Sprintf("sampling.services[%d].", i)
		if s.Service == "" {
			return fmt.Errorf("%sservice is empty: name the service it is for", key)
		}
		if seen[s.Service] {
			return fmt.Errorf("%sservice %q is there twice: keep one", key, s.Service)
		}
		seen[s.Service] = true
		ratio, slow := c.forService(s)
		if err := checkRule(key, ratio, slow); err != nil {
			return err
		}
	}
	return nil
}

func checkRule(key string, ratio float64, slow time.Duration) error {
	if !(ratio >= 0 && ratio <= 1) {
		return fmt.Errorf("%sratio %v: want a number from 0 to 1", key, ratio)
	}
	if slow < 0 {
		return fmt.Errorf("%sslow %v: want a positive duration, or 0 for off", key, slow)
	}
	return nil
}

func (c SamplingConfig) forService(s ServiceSampling) (ratio float64, slow time.Duration) {
	ratio, slow = c.Ratio, c.Slow
	if s.Ratio != nil {
		ratio = *s.Ratio
	}
	if s.Slow != nil {
		slow = *s.Slow
	}
	return ratio, slow
}

// reason says why a request was kept.
type reason uint8

const (
	sampledOut reason = iota
	keptByRatio
	keptByParent
	keptSlow
	keptFailed
)

var reasonNames = [...]string{"", "ratio", "parent", "slow", "failed"}

func (r reason) String() string { return reasonNames[r] }

// verdict is the decision on one request.
type verdict struct {
	reason reason
	rule   *rule // whose ratio applied; only for keptByRatio
}

// ratio is the probability with which a request like this one is kept; ok is
// false when only the parent knows it.
func (v verdict) ratio() (ratio float64, ok bool) {
	switch v.reason {
	case keptByRatio:
		return v.rule.ratio, true
	case keptSlow, keptFailed:
		return 1, true
	}
	return 0, false
}

// threshold is the verdict in OpenTelemetry's tracestate notation, empty when
// only the parent knows it.
func (v verdict) threshold() string {
	switch v.reason {
	case keptByRatio:
		return v.rule.notation
	case keptSlow, keptFailed:
		return "0"
	}
	return ""
}

// rule is what applies to one service.
type rule struct {
	ratio     float64
	threshold uint64 // keep when the trace's randomness is at least this
	notation  string // threshold as tracestate's th
	slow      time.Duration
}

// randomBits is how many bits of a trace identifier OpenTelemetry's
// consistent sampling takes as random: the last seven bytes.
const randomBits = 56

func newRule(ratio float64, slow time.Duration) *rule {
	r := &rule{ratio: ratio, slow: slow}
	r.threshold = 1<<randomBits - uint64(math.Round(ratio*(1<<randomBits)))
	digits := strconv.FormatUint(1<<randomBits|r.threshold, 16)[1:]
	if r.notation = strings.TrimRight(digits, "0"); r.notation == "" {
		r.notation = "0"
	}
	return r
}

// sampler decides which requests become traces. It is immutable.
type sampler struct {
	general      *rule
	services     map[string]*rule
	followParent bool
	keepFailed   bool
}

func newSampler(c SamplingConfig) *sampler {
	s := &sampler{
		general:      newRule(c.Ratio, c.Slow),
		services:     make(map[string]*rule, len(c.Services)),
		followParent: c.FollowParent,
		keepFailed:   c.KeepFailed,
	}
	for _, service := range c.Services {
		s.services[service.Service] = newRule(c.forService(service))
	}
	return s
}

// decide judges one request. It assigns identifiers when the ratio needs them.
// The certain reasons come first: the ratio then holds for the rest.
func (s *sampler) decide(r *request.Request) verdict {
	rule := s.general
	if own, ok := s.services[r.Service]; ok {
		rule = own
	}
	if s.keepFailed && r.Failed() {
		return verdict{reason: keptFailed}
	}
	if rule.slow > 0 && elapsed(r) >= rule.slow {
		return verdict{reason: keptSlow}
	}
	if s.followParent && r.ParentSpanID != [8]byte{} {
		if r.Sampled {
			return verdict{reason: keptByParent}
		}
		return verdict{}
	}
	if rule.ratio == 0 {
		return verdict{}
	}
	AssignIDs(r)
	if randomness(r) < rule.threshold {
		return verdict{}
	}
	return verdict{reason: keptByRatio, rule: rule}
}

// elapsed is how long r took, or how long it was seen when it never finished.
func elapsed(r *request.Request) time.Duration {
	if end := r.End(); r.Arrived.Seen() && end > r.Arrived {
		return time.Duration(end - r.Arrived)
	}
	return 0
}

// randomness is the number that consistent sampling compares: the one in the
// tracestate, or else the end of the trace's identifier.
func randomness(r *request.Request) uint64 {
	if rv, ok := stateRandomness(r.TraceState); ok {
		return rv
	}
	return binary.BigEndian.Uint64(r.TraceID[8:]) & (1<<randomBits - 1)
}
