package interpolate

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPromQL(t *testing.T) {
	c := Choice{Range: time.Hour, Scrape: 15 * time.Second, Width: 600, Variables: map[string]Variable{
		"one":     {Values: []string{`a.b`}},
		"host":    {Values: []string{"10.0.0.1:9464"}, Multi: true},
		"service": {Values: []string{"nginx", "shop (old)"}, Multi: true},
		"all":     {Multi: true, All: ".*"},
	}}
	for query, want := range map[string]string{
		`x{a="$one"}[$__rate_interval]`:     `x{a="a.b"}[60s]`,
		`x{a=~"$host",b=~"${service}"}`:     `x{a=~"10\\.0\\.0\\.1:9464",b=~"(nginx|shop \\(old\\))"}`,
		`x{a=~"$all"}[$__range] $__range_s`: `x{a=~".*"}[3600s] 3600`,
	} {
		got, err := c.PromQL(query)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
}

func TestIntervalsOfLongRanges(t *testing.T) {
	c := Choice{Range: 7 * 24 * time.Hour, Scrape: 15 * time.Second, Width: 1000}
	got, err := c.PromQL("$__interval $__rate_interval")
	require.NoError(t, err)
	assert.Equal(t, "605s 620s", got)
}

func TestTraceQLTakesValuesAsTheyAre(t *testing.T) {
	c := Choice{Variables: map[string]Variable{"condition": {Values: []string{`span.http.route = "/a/{id}"`}}}}
	got, err := c.TraceQL(`{ kind = server && $condition }`)
	require.NoError(t, err)
	assert.Equal(t, `{ kind = server && span.http.route = "/a/{id}" }`, got)
}

func TestUnknownVariable(t *testing.T) {
	_, err := Choice{}.PromQL(`x{a="$gone"}`)
	assert.EqualError(t, err, `no variable gone in x{a="$gone"}`)
}
