package sampling

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestDefaultConfigIsValid(t *testing.T) {
	assert.NoError(t, DefaultConfig().Validate())
}

func TestValidateNamesTheKey(t *testing.T) {
	tests := map[string]func(*Config){
		"ratio ":                func(c *Config) { c.Ratio = math.NaN() },
		"slowest ":              func(c *Config) { c.Slowest = 0.9 },
		"max_spans_per_second ": func(c *Config) { c.MaxSpansPerSecond = 1 },
		"slow ":                 func(c *Config) { c.Slow = -1 },
		"services[0].service ":  func(c *Config) { c.Services = []ServiceConfig{{}} },
		"services[1].service ":  func(c *Config) { c.Services = []ServiceConfig{{Service: "a"}, {Service: "a"}} },
		"services[0].ratio ":    func(c *Config) { c.Services = []ServiceConfig{{Service: "a", Ratio: new(2.0)}} },
	}
	for key, change := range tests {
		c := DefaultConfig()
		change(&c)
		err := c.Validate()
		if assert.Error(t, err, key) {
			assert.True(t, strings.HasPrefix(err.Error(), key), "want an error that starts with %s, got %v", key, err)
		}
	}
}
