package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/probes/socket/survey"
)

func TestParseFigure(t *testing.T) {
	for line, want := range map[string]figure{
		"- none kept:tcp 8000 313862067 0 0": {
			key: key{Kernel: "6.12", State: stateNone, Mode: "kept:tcp"}, Instructions: 39233},
		// What the agent does after the loop is part of its cost.
		"socket all each:unix 1000 60000000 9000000 12000000": {
			key: key{Kernel: "6.12", Plan: survey.PlanSocket, State: stateAll, Mode: "each:unix"}, Instructions: 69000, Process: 12000},
		"syscall stopped kept:tcp 1000 45000400 0 0": {
			key: key{Kernel: "6.12", Plan: survey.PlanSyscall, State: stateStopped, Mode: "kept:tcp"}, Instructions: 45000},
	} {
		got, err := parseFigure("6.12", line)
		assert.NoError(t, err, line)
		assert.Equal(t, want, got, line)
	}
	for _, line := range []string{
		"", "socket all kept:tcp 1000 60000000 0", "socket all kept:tcp 1000 many 0 0",
		"socket all kept:tcp 0 60000000 0 0", "socket all kept:tcp 1000 0 0 0", "socket all kept:tcp 1000 60000000 -1 0",
	} {
		f, err := parseFigure("6.12", line)
		assert.Error(t, err, "%q: got %+v", line, f)
	}
}

// TestCheckAgent checks that an agent that missed requests is not accepted as a
// cheap one.
func TestCheckAgent(t *testing.T) {
	const (
		good = `{"services":[{"service":"nginx","requests":17000},{"service":"x","requests":1000}],"lost":{},"final":true}`
		none = `{"services":[],"lost":{},"final":true}`
	)
	for line, ok := range map[string]bool{
		"socket all 18000 " + good:  true,
		"socket all 18001 " + good:  false,
		"socket all 17999 " + good:  false,
		"socket idle 18000 " + none: true,
		"socket idle 18000 " + good: false,
		"socket all 18000 " + strings.Replace(good, `"lost":{}`, `"lost":{"ring_full":1}`, 1): false,
		"socket all 18000 " + strings.Replace(good, "true", "false", 1):                       false,
		"socket all 18000 lapwing: interrupted":                                               false,
		"socket all":                                                                          false,
	} {
		err := checkAgent(line)
		assert.Equal(t, ok, err == nil, "%s: got %v", line, err)
	}
}

func TestGuestOutput(t *testing.T) {
	o, err := parseOptions([]string{"-short", "-kernels", "6.1"})
	require.NoError(t, err)
	const output = `figure - none kept:tcp 8000 320000000 0 0
figure syscall all kept:tcp 8000 440000000 0 0
figure syscall stopped kept:tcp 8000 400000000 0 0
agent syscall all 17000 {"services":[{"requests":17000}],"final":true}
`
	for name, c := range map[string]struct{ output, want string }{
		"whole":            {output, ""},
		"a figure missing": {strings.Replace(output, "syscall stopped", "syscall halted", 1), "no figure for Linux 6.1, plan syscall, kernel side alone"},
		"a figure garbled": {strings.Replace(output, "440000000", "4e8", 1), "read the figure"},
		"requests missing": {strings.Replace(output, ":17000", ":16999", 1), "reported 16999 of 17000"},
	} {
		run := guestRun{kernel: "6.1"}
		err := run.read(strings.NewReader(c.output))
		if err == nil {
			err = run.complete(o)
		}
		checkError(t, err, c.want, name)
	}
}

func TestReportComesBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "build", "report.json")
	r := costs(40_000, 50_000)
	r.Agent, r.Nginx, r.Kernels = "lapwing x", "nginx/1.22.1", map[string]string{"6.12": "6.12.118"}
	require.NoError(t, r.save(path))
	back, err := load(path)
	require.NoError(t, err)
	if assert.Len(t, back.Figures, 2) {
		assert.Equal(t, r.Figures[1], back.Figures[1])
	}
	assert.Equal(t, "6.12.118", back.Kernels["6.12"])
	assert.Equal(t, r.Agent, back.Agent)
	assert.Equal(t, r.Nginx, back.Nginx)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	want := "    {\"kernel\":\"6.12\",\"state\":\"none\",\"mode\":\"kept:tcp\",\"instructions\":40000},\n"
	assert.Contains(t, string(text), want, "a figure is not a line:\n%s", text)
}

// TestPartOfTheBaseline checks that measuring a part changes only that part of
// the baseline.
func TestPartOfTheBaseline(t *testing.T) {
	other := figure{key: key{Kernel: "6.1", State: stateNone, Mode: "kept:tcp"}, Instructions: 1}
	baseline := costs(40_000, 50_000)
	baseline.Figures = append(baseline.Figures, other)
	merged := baseline.with(costs(41_000, 52_000))
	server, _ := merged.get(serverKey)
	whole, _ := merged.get(wholeKey)
	kept, _ := merged.get(other.key)
	assert.Len(t, merged.Figures, 3)
	assert.Equal(t, 41_000, server.Instructions, "got %+v", merged.Figures)
	assert.Equal(t, 52_000, whole.Instructions, "got %+v", merged.Figures)
	assert.Equal(t, other, kept, "got %+v", merged.Figures)
}

func TestTable(t *testing.T) {
	r := costs(40_000, 51_000)
	r.Kernels = map[string]string{"6.12": "6.12.118+deb13"}
	r.Figures[1].Process = 5_000
	var out strings.Builder
	require.NoError(t, writeTable(&out, r, compare(costs(40_000, 50_000), r)))
	for _, want := range []string{"Linux 6.12.118+deb13, plan socket", "TCP, kept alive", "no agent", "40000 (+0.0 %)", "51000, process 5000 (+2.0 %)"} {
		assert.Contains(t, out.String(), want)
	}
}

func TestOptions(t *testing.T) {
	o, err := parseOptions([]string{"-plans", "socket", "-kernels", "6.12"})
	require.NoError(t, err)
	args := strings.Join(o.guestArgs("tree", "6.12"), "|")
	assert.True(t, strings.HasSuffix(args, "|measure|socket|idle all stopped|kept:tcp each:tcp kept:unix each:unix kept:udp|500|8000"), "the guest gets %s", args)
	o, err = parseOptions([]string{"-plans", "socket"})
	assert.NoError(t, err)
	assert.Equal(t, []string{"6.12"}, o.kernels, "the plan socket runs on other kernels")
	for _, bad := range [][]string{{"-plans", "socket", "-kernels", "6.1"}, {"-kernels", "5.4"}, {"-jobs", "0"}, {"-format", "xml"}, {"-plans", "both"}, {"now"}} {
		_, err = parseOptions(bad)
		assert.Error(t, err, "%q was taken", bad)
	}
}
