package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/probes/socket/survey"
)

var (
	serverKey = key{Kernel: "6.12", State: stateNone, Mode: "kept:tcp"}
	wholeKey  = key{Kernel: "6.12", Plan: survey.PlanSocket, State: stateAll, Mode: "kept:tcp"}
)

// costs returns a report with one figure without and one with the agent.
func costs(server, whole int) report {
	return report{Figures: []figure{{key: serverKey, Instructions: server}, {key: wholeKey, Instructions: whole}}}
}

// checkError checks that err says want, or that there is none if want is empty.
func checkError(t *testing.T, err error, want string, message ...any) {
	t.Helper()
	if want == "" {
		assert.NoError(t, err, message...)
	} else {
		assert.ErrorContains(t, err, want, message...)
	}
}

func TestVerdict(t *testing.T) {
	baseline := costs(40_000, 50_000)
	for name, c := range map[string]struct {
		now        report
		fail, note string // substrings of the error and the notes; "" means none
	}{
		"the same":                             {now: costs(40_000, 50_000)},
		"grown by just 3 %":                    {now: costs(40_000, 51_500)},
		"grown by more":                        {now: costs(40_000, 51_501), fail: "plan socket, all, TCP kept alive: 51501 instructions per request, +3.0 % against the baseline's 50000"},
		"grown by half":                        {now: costs(40_000, 75_000), fail: "+50.0 %"},
		"shrunk by just 3 %":                   {now: costs(40_000, 48_500)},
		"shrunk by more":                       {now: costs(40_000, 48_000), note: "can be lowered"},
		"the noise of the server is not added": {now: costs(40_400, 51_501), fail: "against the baseline's 50000"},
		"another server":                       {now: costs(50_000, 60_000), note: "another one"},
		"another server and a dearer agent":    {now: costs(50_000, 62_000), fail: "+3.3 % against the baseline's 60000", note: "another one"},
		"a cheaper server hides no growth":     {now: costs(30_000, 41_500), fail: "+3.8 %", note: "another one"},
		"a cheaper server is no cheaper agent": {now: costs(39_000, 49_000)},
	} {
		t.Run(name, func(t *testing.T) {
			var notes strings.Builder
			err := verdict(&notes, compare(baseline, c.now), "baseline.json")
			checkError(t, err, c.fail)
			if c.note == "" {
				assert.Empty(t, notes.String())
			} else {
				assert.Contains(t, notes.String(), c.note)
			}
		})
	}
}

// TestUnknownFigureFails checks that a figure which the baseline lacks or
// cannot judge is not accepted as one that has not grown.
func TestUnknownFigureFails(t *testing.T) {
	whole := costs(40_000, 50_000)
	for name, baseline := range map[string]report{
		"empty":          {},
		"without server": {Figures: whole.Figures[1:]},
		"without agent":  {Figures: whole.Figures[:1]},
	} {
		err := verdict(new(strings.Builder), compare(baseline, whole), "baseline.json")
		assert.ErrorContains(t, err, "baseline.json does not know this figure", name)
	}
}

// TestBaselineIsWhole checks that the committed baseline has every figure of
// the full and the short form.
func TestBaselineIsWhole(t *testing.T) {
	baseline, err := load("baseline.json")
	require.NoError(t, err)
	for _, flags := range [][]string{nil, {"-short"}} {
		o, err := parseOptions(flags)
		require.NoError(t, err)
		known := 0
		for _, kernel := range o.kernels {
			for _, k := range o.keys(kernel) {
				known++
				f, ok := baseline.get(k)
				assert.True(t, ok && f.Instructions != 0, "no figure for %s", k)
			}
		}
		if len(flags) == 0 {
			assert.Equal(t, known, len(baseline.Figures), "figures that can be measured, and figures of the baseline")
		}
	}
}
