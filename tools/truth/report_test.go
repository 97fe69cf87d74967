package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSummary(t *testing.T) {
	good := cell{Plan: "socket", Arch: "serial", Scenario: "fast", Load: "one", Sent: 1, Seen: 1, Tries: 1, Within: true}
	again := good
	again.Tries = 3
	lost := good
	lost.Seen, lost.Missing, lost.Within = 0, 1, false
	slow := good
	slow.Load, slow.Within, slow.Tries = "4x", false, 3
	slow.Phases = map[string]accuracy{"app": {spread: spread{P50: 25, P99: 40, Max: 50}}}

	var b strings.Builder
	require.NoError(t, writeSummary(&b, []cell{good, again, lost, slow}))
	text := b.String()
	assert.Contains(t, text, "2 of 4 cells are within the bounds, 1 of them after a repeat; 4 repeats in all.\n")
	assert.Regexp(t, `socket +serial +fast +one +1 missing\n`, text)
	assert.Regexp(t, `socket +serial +fast +4x +app off by 25/40/50 µs.*, after 3 tries\n`, text)
	assert.ErrorContains(t, verdict([]cell{good, lost}), "1 of 2 cells")
	assert.NoError(t, verdict([]cell{good, again}))
}
