package gateways

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
)

// logged is one request in the server's own log.
type logged struct {
	path   string
	status int
	took   time.Duration // by the clock of the server; each hop defines it differently
}

// pair holds both accounts of one request.
type pair struct {
	harness.Record
	own logged
}

// logReader reads a log with path, status and time per line. unit is the unit
// of the time.
func logReader(file string, unit time.Duration) func(t *testing.T) []logged {
	return func(t *testing.T) (all []logged) {
		t.Helper()
		b, err := os.ReadFile(file)
		require.NoError(t, err, "the server's own log")
		for _, line := range strings.Split(strings.TrimSpace(string(b)), "\n") {
			if l, err := parseLine(line, unit); err == nil {
				all = append(all, l)
			} else if strings.HasPrefix(line, "/") {
				assert.NoError(t, err, "log line %q", line)
			}
		}
		return all
	}
}

func parseLine(line string, unit time.Duration) (logged, error) {
	fields := strings.Fields(line)
	if len(fields) != 3 {
		return logged{}, fmt.Errorf("%d fields, want 3", len(fields))
	}
	path, _, _ := strings.Cut(fields[0], "?")
	status, err := strconv.Atoi(fields[1])
	if err != nil {
		return logged{}, err
	}
	took, err := strconv.ParseFloat(fields[2], 64)
	return logged{path, status, time.Duration(took * float64(unit))}, err
}

func ofRun(all []logged, name, run string) []logged {
	return slices.DeleteFunc(all, func(l logged) bool { return !hasRun(l.path, name, run) })
}

// sameRequests compares the paths and statuses of both accounts.
func sameRequests(t *testing.T, records []harness.Record, own []logged) {
	t.Helper()
	balance := make(map[string]int)
	for _, r := range records {
		balance[fmt.Sprint(r.Path, " ", r.Status)]++
	}
	for _, l := range own {
		balance[fmt.Sprint(l.path, " ", l.status)]--
	}
	var off []string
	for what, n := range balance {
		if n != 0 {
			off = append(off, fmt.Sprintf("%+d %s", n, what))
		}
	}
	slices.Sort(off)
	assert.True(t, len(off) == 0 && len(own) == requests, "the agent printed %d requests, the server logged %d of %d; off by: %s",
		len(records), len(own), requests, strings.Join(off[:min(len(off), 8)], ", "))
}

func pairUp(records []harness.Record, own []logged) (pairs []pair) {
	byPath := make(map[string]logged)
	for _, l := range own {
		byPath[l.path] = l
	}
	for _, r := range records {
		if l, ok := byPath[r.Path]; ok {
			pairs = append(pairs, pair{r, l})
		}
	}
	return pairs
}

// spread checks how much longer something took by the agent than by the server:
// the median must be between least and most, and nine of ten within 5 ms of
// that range.
func spread(t *testing.T, what string, off []time.Duration, least, most time.Duration) {
	t.Helper()
	const slack = 5 * time.Millisecond
	if !assert.NotEmpty(t, off, "%s: nothing to compare", what) {
		return
	}
	slices.Sort(off)
	at := func(percent int) time.Duration { return off[(len(off)-1)*percent/100] }
	t.Logf("%s: agent − server: median %s, 5 %% %s, 95 %% %s", what, at(50), at(5), at(95))
	results.add(t, what, at(50), at(5), at(95))
	m := at(50)
	assert.True(t, m >= harness.Slow(least) && m <= harness.Slow(most), "%s differs by %s at the median, want %s to %s", what, m, least, most)
	low, high := at(5), at(95)
	assert.True(t, low >= harness.Slow(least-slack) && high <= harness.Slow(most+slack),
		"%s differs by %s to %s in nine of ten, want %s to %s", what, low, high, least-slack, most+slack)
}

// since returns a judge of how long requests took, by a part of the agent's
// record.
func since(what string, part func(harness.Record) int64, least, most time.Duration) func(*testing.T, []pair) {
	return func(t *testing.T, pairs []pair) {
		t.Helper()
		var off []time.Duration
		for _, p := range pairs {
			off = append(off, time.Duration(part(p.Record))-p.own.took)
		}
		spread(t, what, off, least, most)
	}
}

func value(n *int64) int64 {
	if n == nil {
		return 0
	}
	return *n
}
