package console

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/collectors/request"
	"lapwing/exporters/health"
)

// sampleTable returns a table of a busy, a failing and an incomplete service.
func sampleTable() Table {
	agg := NewAggregator(0)
	for i := range 1000 {
		agg.Export(served("nginx", "/", 200, 12*time.Microsecond, 3*time.Microsecond, time.Duration(i)*time.Microsecond, 900))
	}
	for i := range 40 {
		r := served("gunicorn-with-a-long-name.service", "/", 200+i%2*300, 100*time.Millisecond, 52*time.Microsecond, 50*time.Millisecond, 40*time.Microsecond)
		agg.Export(r)
	}
	reset := served("日本語", "/", 0, time.Millisecond)
	reset.ReadLast, reset.WriteFirst, reset.WriteLast, reset.Error = 0, 0, 0, "connection_reset"
	agg.Export(reset)
	table := agg.Totals()
	table.At, table.Elapsed = time.Date(2026, 3, 1, 12, 30, 16, 0, time.UTC), 2*time.Second
	return table
}

func sampleHealth() health.Health {
	return health.Health{
		health.Requests:    health.Of(1041),
		health.Incomplete:  health.Of(1),
		health.Lost:        health.By(map[string]uint64{"ring_buffer_full": 3, "never": 0}),
		health.Skipped:     health.Of(4),
		health.MissedStart: health.By(map[string]uint64{"in_flight": 2}),
		health.Unknown:     health.By(map[string]uint64{"tls": 7}),
		health.Tunnels:     health.Of(1),
		health.Dropped:     health.ByBoth(map[string]map[string]uint64{"otlp": {"queue_full": 9}}),
	}
}

func TestTextTables(t *testing.T) {
	for _, width := range []int{80, 120, 200} {
		t.Run(fmt.Sprint(width), func(t *testing.T) {
			var out bytes.Buffer
			r := &textReport{w: &out, width: width}
			require.NoError(t, r.interval(sampleTable(), sampleHealth()))
			require.NoError(t, r.final(sampleTable(), health.Health{}))
			golden(t, fmt.Sprintf("top_%d.txt", width), out.Bytes())
		})
	}
}

func TestTextTablesFit(t *testing.T) {
	for width := minTableWidth; width < 220; width++ {
		for _, color := range []bool{false, true} {
			var out bytes.Buffer
			r := &textReport{w: &out, width: width, color: color}
			require.NoError(t, r.final(sampleTable(), sampleHealth()))
			for line := range strings.Lines(out.String()) {
				assert.LessOrEqual(t, ansi.StringWidth(strings.TrimSuffix(line, "\n")), width, "too many cells: %q", line)
			}
		}
	}
}

func TestJSONTables(t *testing.T) {
	var out bytes.Buffer
	r := &jsonReport{w: &out}
	account := sampleHealth()
	for _, write := range []func(Table, health.Health) error{r.interval, r.interval, r.final} {
		require.NoError(t, write(sampleTable(), account))
	}
	golden(t, "top.json", out.Bytes())
}

func TestJSONOfNothing(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, (&jsonReport{w: &out}).final(Table{}, health.Health{}))
	for _, want := range []string{
		`{"time":"0001-01-01T00:00:00Z","interval_s":0,"services":[],"lost":{},"missed_start":{},"in_flight":0,"agent":{`,
		`"requests":0,`, `"lost":{},`, `"final":true}` + "\n",
	} {
		assert.Contains(t, out.String(), want)
	}
}

// started runs RunTop and returns a function that ends it, and its result.
func started(agg *Aggregator, account health.Func, opts TopOptions) (cancel func(), result chan error) {
	ctx, cancel := context.WithCancel(context.Background())
	result = make(chan error, 1)
	go func() { result <- RunTop(ctx, agg, account, opts) }()
	return cancel, result
}

// ended waits for RunTop to return without an error.
func ended(t *testing.T, result <-chan error) {
	t.Helper()
	select {
	case err := <-result:
		require.NoError(t, err)
	case <-time.After(10 * time.Second):
		require.Fail(t, "RunTop does not return within 10 s")
	}
}

func tables(t *testing.T, out string) []jsonTable {
	t.Helper()
	var all []jsonTable
	for line := range strings.Lines(out) {
		var table jsonTable
		require.NoError(t, json.Unmarshal([]byte(line), &table), "%s", line)
		all = append(all, table)
	}
	return all
}

// TestRunTopJSON follows a run to its end: what arrives while the agent drains
// is included in the final totals.
func TestRunTopJSON(t *testing.T) {
	agg := NewAggregator(0)
	var lost atomic.Uint64
	account := func() health.Health {
		return health.Health{health.Lost: health.By(map[string]uint64{"ring_buffer_full": lost.Load()})}
	}
	var out buffer
	drained := make(chan struct{})
	cancel, result := started(agg, account, TopOptions{
		Out: &out, Format: FormatJSON, Interval: 5 * time.Millisecond, Drained: drained,
	})
	r := served("nginx", "/", 500, 1000, 2000, 3000, 4000)
	agg.Export(r)
	lost.Store(4)
	eventually(t, "the request is in an interval", func() bool { return strings.Contains(out.String(), `"requests":1`) })
	eventually(t, "the loss is in an interval", func() bool { return strings.Contains(out.String(), "full") })
	cancel()
	agg.Export(r)
	close(drained)
	ended(t, result)

	all := tables(t, out.String())
	final := all[len(all)-1]
	require.Len(t, final.Services, 1)
	s := final.Services[0]
	require.EqualValues(t, 2, s.Requests, "final requests: %+v", s)
	require.EqualValues(t, 2, s.Errors, "final errors: %+v", s)
	assert.EqualValues(t, 6000, s.Phases.App.Sum, "final figures %+v", s)
	assert.EqualValues(t, 20000, s.Duration.Sum, "final figures %+v", s)
	assert.Positive(t, s.Rate, "final figures %+v", s)
	losses := uint64(0)
	for i, table := range all[:len(all)-1] {
		losses += table.Lost["ring_buffer_full"]
		assert.False(t, table.Final, "table %d of %d claims to be the last", i+1, len(all))
		assert.Positive(t, table.Interval, "seconds of table %d", i+1)
	}
	assert.True(t, final.Final, "the last table does not claim to be the last")
	assert.EqualValues(t, 4, final.Lost["ring_buffer_full"], "lost in all: %v", final.Lost)
	assert.EqualValues(t, 4, losses, "lost in the intervals")
}

func TestRunTopText(t *testing.T) {
	agg := NewAggregator(0)
	agg.Export(served("nginx", "/", 200, 1000, 2000, 3000, 4000))
	var out buffer
	cancel, result := started(agg, nil, TopOptions{Out: &out, Interval: 5 * time.Millisecond})
	eventually(t, "two intervals are shown", func() bool { return strings.Count(out.String(), "interval") >= 2 })
	cancel()
	ended(t, result)
	_, final, ok := strings.Cut(out.String(), "since the start")
	assert.True(t, ok, "no final table in\n%s", out.String())
	assert.Contains(t, final, "nginx")
	assert.Contains(t, final, "none lost")
}

func TestRunTopRejectsFormat(t *testing.T) {
	err := RunTop(t.Context(), NewAggregator(0), nil, TopOptions{Out: io.Discard, Format: "xml"})
	assert.ErrorContains(t, err, `"xml"`, "it does not say what is wrong")
	assert.ErrorContains(t, err, "json", "it does not say what to use")
}

func TestRunTopReaderLeaves(t *testing.T) {
	read, write, err := os.Pipe()
	require.NoError(t, err)
	defer write.Close()
	require.NoError(t, read.Close())
	assert.NoError(t, RunTop(t.Context(), NewAggregator(0), nil, TopOptions{Out: write, Interval: time.Millisecond}))
}

func TestRunTopWriteError(t *testing.T) {
	err := RunTop(t.Context(), NewAggregator(0), nil, TopOptions{Out: failing{}, Interval: time.Millisecond})
	assert.ErrorContains(t, err, "write the table: disk full")
}

// failing is an output that accepts nothing.
type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errDiskFull }

func TestPercent(t *testing.T) {
	for _, c := range []struct {
		part, whole uint64
		want        string
	}{{0, 0, "-"}, {0, 9, "0"}, {1, 1e9, "0.1"}, {1e9 - 1, 1e9, "99.9"}, {9, 9, "100"}, {1, 3, "33.3"}} {
		assert.Equal(t, c.want, percent(c.part, c.whole), "%d of %d", c.part, c.whole)
	}
}

func TestRateFits(t *testing.T) {
	for _, rate := range []float64{0, 0.04, 99.96, 1234.5, 200_000, 99_999_999.6, 1e12} {
		got := rateText(rate)
		assert.LessOrEqual(t, len(got), 8, "%v reads %s, which takes too many cells", rate, got)
	}
	assert.NotContains(t, []string{"0", "0.0"}, rateText(0.001), "a rate above zero reads as zero")
}

// TestColumnsCarryEveryPhase checks which figures a table of a given width has.
func TestColumnsCarryEveryPhase(t *testing.T) {
	for width, want := range map[int]int{52: 6, 80: 7, 120: 7 + int(request.NumPhases), 200: 7 + 3*int(request.NumPhases)} {
		assert.Len(t, columnsFor(width), want, "columns in %d cells", width)
	}
}
