package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPerTrace(t *testing.T) {
	spans, plain, err := perTrace("")
	require.NoError(t, err)
	assert.Equal(t, 5.0, spans, "the request and its four phases")
	_, zipped, err := perTrace("gzip")
	require.NoError(t, err)
	assert.Less(t, zipped, plain)
}

// TestSeriesAreLinear checks what the page multiplies with: a set of labels and
// a worker each add the same number of series, however many there are.
func TestSeriesAreLinear(t *testing.T) {
	series := func(h host) int {
		s, err := metricsOf(h)
		require.NoError(t, err)
		return s.series
	}
	one := series(host{1, 1, 1})
	set, worker := series(host{1, 2, 1})-one, series(host{1, 1, 2})-one
	assert.Equal(t, one+9*set+4*worker, series(host{1, 10, 5}))
}

func TestReport(t *testing.T) {
	var out strings.Builder
	require.NoError(t, report(&out, plan{hosts: 10, requests: 100, ratio: 0.1, host: host{1, 1, 1}}))
	assert.Regexp(t, `traces/s +100\.0`, out.String())
	assert.Regexp(t, `spans/s +500\.0`, out.String())
}
