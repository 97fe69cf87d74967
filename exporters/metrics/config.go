package metrics

import "fmt"

// Config bounds the metrics of requests.
type Config struct {
	// MaxLabelSets is how many sets of attributes are kept, over all services.
	MaxLabelSets int `koanf:"max_label_sets" doc:"How many sets of attributes (service, method, status, route and so on) requests are counted by, over all services. What comes on top is counted per service, without attributes." example:"2000"`
}

// MaxLabelSets is the highest limit that can be set.
const MaxLabelSets = 100_000

// DefaultConfig returns the defaults.
func DefaultConfig() Config { return Config{MaxLabelSets: 2000} }

// Validate reports what cannot work. The error begins with the key.
func (c Config) Validate() error {
	if c.MaxLabelSets < 1 || c.MaxLabelSets > MaxLabelSets {
		return fmt.Errorf("max_label_sets %d is out of range: use 1 to %d", c.MaxLabelSets, MaxLabelSets)
	}
	return nil
}
