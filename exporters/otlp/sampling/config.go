package sampling

import (
	"fmt"
	"time"
)

// Config selects the requests that become traces. It never affects counts:
// metrics and tables include every request.
type Config struct {
	// Ratio is the share of requests to keep, 0 to 1. The choice depends on the
	// trace identifier alone, so every agent makes the same choice.
	Ratio float64 `koanf:"ratio"`
	// FollowParent lets the sampled flag of an incoming traceparent decide
	// instead of the ratio, so that traces stay complete. Switch it off if
	// clients are not trusted: they could have every request kept.
	FollowParent bool `koanf:"follow_parent"`
	// KeepFailed keeps every failed request, regardless of the other settings.
	KeepFailed bool `koanf:"keep_failed"`
	// Slow keeps every request that took at least this long. Zero means off.
	Slow time.Duration `koanf:"slow"`
	// Slowest keeps this share of each service's requests: those that are slow
	// compared to the recent requests of the service. 0.01 keeps what is above
	// the 99th percentile. Zero means off.
	Slowest float64 `koanf:"slowest"`
	// MaxSpansPerSecond limits what all of the above keep. Zero means no limit.
	MaxSpansPerSecond int `koanf:"max_spans_per_second"`
	// Services holds the differences for single services.
	Services []ServiceConfig `koanf:"services"`
}

// ServiceConfig overrides values of Config for one service. A nil value keeps
// the general one.
type ServiceConfig struct {
	Service string         `koanf:"service"`
	Ratio   *float64       `koanf:"ratio"`
	Slow    *time.Duration `koanf:"slow"`
}

// DefaultConfig returns a Config that keeps every request up to 10,000 spans per
// second.
func DefaultConfig() Config {
	return Config{Ratio: 1, FollowParent: true, KeepFailed: true, Slowest: 0.01, MaxSpansPerSecond: 10_000}
}

// Validate reports the first key whose value cannot work. The error starts with
// the key, such as ratio or services[0].ratio.
func (c Config) Validate() error {
	if err := checkRule("", c.Ratio, c.Slow); err != nil {
		return err
	}
	if !(c.Slowest >= 0 && c.Slowest <= maxSlowest) {
		return fmt.Errorf("slowest %v: use a number from 0 to %v", c.Slowest, maxSlowest)
	}
	if c.MaxSpansPerSecond < 0 || (c.MaxSpansPerSecond > 0 && c.MaxSpansPerSecond < minBudget) {
		return fmt.Errorf("max_spans_per_second %d: use at least %d, or 0 for no limit", c.MaxSpansPerSecond, minBudget)
	}
	seen := make(map[string]bool, len(c.Services))
	for i, s := range c.Services {
		key := fmt.Sprintf("services[%d].", i)
		if s.Service == "" {
			return fmt.Errorf("%sservice is empty: set the name of the service", key)
		}
		if seen[s.Service] {
			return fmt.Errorf("%sservice %q is listed twice: remove one", key, s.Service)
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
		return fmt.Errorf("%sratio %v: use a number from 0 to 1", key, ratio)
	}
	if slow < 0 {
		return fmt.Errorf("%sslow %v: use a positive duration, or 0 for off", key, slow)
	}
	return nil
}

// maxSlowest keeps "slow" from including most requests.
const maxSlowest = 0.5

func (c Config) forService(s ServiceConfig) (ratio float64, slow time.Duration) {
	ratio, slow = c.Ratio, c.Slow
	if s.Ratio != nil {
		ratio = *s.Ratio
	}
	if s.Slow != nil {
		slow = *s.Slow
	}
	return ratio, slow
}
