package metrics

import "fmt"

// Config limits the metrics of requests.
type Config struct {
	// MaxLabelSets is the highest number of attribute sets, over all services.
	MaxLabelSets int `koanf:"max_label_sets" doc:"Maximum number of attribute sets (service, method, status, route and so on) of the request metrics, over all services. Requests beyond the limit are counted per service, without attributes." example:"2000"`
	// MaxSeries limits everything that is exposed, in time series of
	// Prometheus. A histogram has one for each bucket, and two more.
	MaxSeries int `koanf:"max_series" doc:"Maximum number of time series of requests, workers, listeners and processes together; a histogram with 15 buckets counts as 17. Values beyond the limit are counted in the series of their service, or of the service _OTHER." example:"100000"`
}

// MaxLabelSets is the highest limit that can be set.
const MaxLabelSets = 100_000

// The limits of MaxSeries. The lowest has room for the sums of all worker pools
// that are kept.
const (
	MinSeries = 20_000
	MaxSeries = 20_000_000
)

// DefaultConfig returns the defaults.
func DefaultConfig() Config { return Config{MaxLabelSets: 2000, MaxSeries: 100_000} }

// Validate reports the first value that cannot work. The error starts with the
// key.
func (c Config) Validate() error {
	if c.MaxLabelSets < 1 || c.MaxLabelSets > MaxLabelSets {
		return fmt.Errorf("max_label_sets %d is out of range: use 1 to %d", c.MaxLabelSets, MaxLabelSets)
	}
	if c.MaxSeries < MinSeries || c.MaxSeries > MaxSeries {
		return fmt.Errorf("max_series %d is out of range: use %d to %d", c.MaxSeries, MinSeries, MaxSeries)
	}
	return nil
}
