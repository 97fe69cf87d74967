package prometheus

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/exporters/health"
	"lapwing/exporters/metrics"
)

var update = flag.Bool("update", false, "rewrite the tables of the agent's counters in docs")

// held compares a page with what is generated from the table of counters.
func held(t *testing.T, file string, made func(page []string) []string) {
	t.Helper()
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	want := strings.Join(made(strings.SplitAfter(string(raw), "\n")), "")
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(want), 0o644))
		return
	}
	assert.Equal(t, want, string(raw), "go test ./exporters/prometheus -update rewrites the table")
}

// TestMetricsAreDocumented compares the documented table of metrics with the
// code. The rows of the agent's counters are generated from health.Table.
func TestMetricsAreDocumented(t *testing.T) {
	const page = "../../docs/telemetry.md"
	held(t, page, func(page []string) (made []string) {
		done := false
		for _, line := range page {
			if !isCounterRow(line) {
				made = append(made, line)
			} else if !done {
				made, done = append(made, counterRows()...), true
			}
		}
		return made
	})
	raw, err := os.ReadFile(page)
	require.NoError(t, err)
	rows := 0
	for line := range strings.Lines(string(raw)) {
		if strings.Contains(line, "| histogram |") || strings.Contains(line, "| counter |") || strings.Contains(line, "| gauge |") {
			rows++
		}
	}
	assert.Equal(t, len(metrics.Families()), rows, "rows of the table")
	for _, f := range metrics.Families() {
		row := fmt.Sprintf("| `%s` | `%s` | %s | %s |", f.Name, Name(f), f.Kind, f.Unit)
		assert.True(t, strings.Contains(string(raw), row), "no row %s", row)
	}
}

func isCounterRow(line string) bool {
	for _, c := range health.Table {
		if c.Metric != "" && strings.HasPrefix(line, "| `"+c.Metric+"` |") {
			return true
		}
	}
	return false
}

func counterRows() (rows []string) {
	for _, c := range health.Table {
		f := metrics.Of(c)
		if f == nil {
			continue
		}
		by := ""
		if len(c.By) > 0 {
			by = "`" + strings.Join(c.By, "`, `") + "` "
		}
		rows = append(rows, fmt.Sprintf("| `%s` | `%s` | %s | %s | %s| %s |\n", f.Name, Name(f), f.Kind, f.Unit, by, c.Help))
	}
	return rows
}

// TestCountersAreDocumented compares the documented table of the agent's
// counters with the code.
func TestCountersAreDocumented(t *testing.T) {
	const head = "| count | what it means, what to do |\n"
	held(t, "../../docs/operations.md", func(page []string) (made []string) {
		table := false
		for _, line := range page {
			if line == head {
				table = true
				made = append(made, head, "|---|---|\n")
				made = append(made, accountRows()...)
			}
			table = table && strings.HasPrefix(line, "|")
			if !table {
				made = append(made, line)
			}
		}
		return made
	})
}

func accountRows() (rows []string) {
	for _, c := range health.Table {
		rows = append(rows, fmt.Sprintf("| `%s` | %s |\n", c.Key, c.Help))
		for _, cause := range c.Causes {
			rows = append(rows, fmt.Sprintf("| `%s`, `%s` | %s |\n", c.Key, cause.Name, cause.Help))
		}
	}
	return rows
}
