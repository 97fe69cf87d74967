package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/probes/socket/survey"
	"lapwing/tools/load"
)

func TestEveryCombinationIsRunOrLeftOut(t *testing.T) {
	o, err := parseOptions(nil)
	require.NoError(t, err)
	todo, omitted := o.pick.cells()
	seen := make(map[string]bool)
	for _, c := range todo {
		assert.False(t, seen[c.String()], "%s twice", c)
		seen[c.String()] = true
	}
	left := 0
	for _, what := range omitted {
		left += len(what)
	}
	assert.Equal(t, len(architectures)*len(scenarios)*len(loads)*2, len(todo)+left*len(loads)*2)
	assert.Contains(t, omitted["serial: it closes the connection after each response"], "pipelining")
	assert.NotContains(t, omitted, "prefork: it closes the connection after each response")
}

func TestPartIsChosen(t *testing.T) {
	o, err := parseOptions([]string{"-arch", "threaded,prefork", "-scenario", "sleep", "-load", "4x", "-plan", "socket"})
	require.NoError(t, err)
	todo, omitted := o.pick.cells()
	require.Len(t, todo, 2)
	assert.Empty(t, omitted)
	assert.Equal(t, "prefork", todo[0].arch.name)
	assert.Equal(t, survey.PlanSocket, todo[1].plan)
}

func TestBadOptions(t *testing.T) {
	for option, want := range map[string]string{
		"-arch=quantum":   "choose from serial, prefork",
		"-scenario=x":     "choose from fast, sleep",
		"-load=2x":        "choose from one, 1x, 4x",
		"-plan=kprobe":    "choose from socket, syscall",
		"-workers=0":      "from 1 to 64",
		"-format=xml":     "use table or json",
		"-markers=maybe":  "use auto or off",
		"-requests=0":     "at least 1",
		"-tries=0":        "at least 1",
		"prefork":         "takes flags only",
		"-arch=prefork,,": `there is no ""`,
	} {
		_, err := parseOptions([]string{option})
		assert.ErrorContains(t, err, want, option)
	}
}

func TestTimetableLetsTheServerFinish(t *testing.T) {
	cell := func(arch, scenario, load string) combination {
		o, err := parseOptions([]string{"-arch", arch, "-scenario", scenario, "-load", load, "-plan", "socket"})
		require.NoError(t, err)
		todo, _ := o.pick.cells()
		require.Len(t, todo, 1)
		return todo[0]
	}
	w := cell("threaded", "sleep", "4x").when(2, 100)
	assert.Equal(t, load.Bursts{Size: 8, Every: 54 * time.Millisecond, Clients: 104}, w)
	w = cell("threaded", "lock", "4x").when(2, 100)
	assert.Equal(t, 3*time.Millisecond*8*13/10+2*time.Millisecond, w.Every, "one at a time")
	w = cell("serial", "sleep", "4x").when(2, 100)
	assert.Equal(t, 4, w.Size, "one worker, whatever was asked for")
	w = cell("prefork", "pipelining", "one").when(2, 100)
	assert.Equal(t, 25, w.Clients, "four requests each")
}
