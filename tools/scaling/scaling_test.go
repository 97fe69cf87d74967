package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/exporters/metrics"
)

func TestPerTrace(t *testing.T) {
	spans, plain, err := perTrace("")
	require.NoError(t, err)
	assert.Equal(t, 5.0, spans, "the request and its four phases")
	_, zipped, err := perTrace("gzip")
	require.NoError(t, err)
	assert.Less(t, zipped, plain)
}

// TestSeriesAddUp checks the factors of the page: a service, a set of labels
// and a worker each add the same number of series, however many there are, and
// the sum is complete.
func TestSeriesAddUp(t *testing.T) {
	each, err := perEach()
	require.NoError(t, err)
	for _, h := range []host{{1, 1, 1}, {1, 10, 5}, {7, 3, 2}} {
		s, err := metricsOf(h, metrics.MaxSeries)
		require.NoError(t, err)
		assert.Equal(t, s.series, each.sum(h), "%+v", h)
	}
}

// TestSeriesStayBelowTheBound has more services than the limit has room for.
func TestSeriesStayBelowTheBound(t *testing.T) {
	h := host{services: 300, sets: 1, workers: 2}
	each, err := perEach()
	require.NoError(t, err)
	s, err := metricsOf(h, metrics.MinSeries)
	require.NoError(t, err)
	assert.LessOrEqual(t, s.series, metrics.MinSeries)
	assert.Greater(t, each.sum(h), metrics.MinSeries)
}

func TestReport(t *testing.T) {
	var out strings.Builder
	require.NoError(t, report(&out, plan{hosts: 10, requests: 100, ratio: 0.1, most: metrics.MinSeries, host: host{1, 1, 1}}))
	assert.Regexp(t, `traces/s +100\.0`, out.String())
	assert.Regexp(t, `spans/s +500\.0`, out.String())
}
