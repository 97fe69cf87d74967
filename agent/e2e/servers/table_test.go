package servers

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
)

var update = flag.Bool("update", false, "renew the table in docs/servers.md")

// result is the entry of a row with a plan in the table of the documentation.
// All times are medians, in nanoseconds.
type result struct {
	Server   string  `json:"server"`
	Plan     string  `json:"plan"`
	Asked    int     `json:"asked"`    // number of requests by the client
	Requests int     `json:"requests"` // number of requests by the agent
	Waits    waiting `json:"waits"`
	Threads  threads `json:"threads"`

	Queue     time.Duration `json:"queue_ns"`
	Parse     time.Duration `json:"parse_ns"`
	App       time.Duration `json:"app_ns"`
	WriteBack time.Duration `json:"write_back_ns"`

	Entry time.Duration `json:"entry_ns"` // from the end of parse to the call of the application
	Leave time.Duration `json:"leave_ns"` // from the end of the application to the start of write_back
	End   time.Duration `json:"end_ns"`   // absolute difference of the end of write_back and the client's last read

	Own    []ownClock `json:"own,omitempty"`
	Limits string     `json:"limits,omitempty"`
}

// ownClock is a time that the server itself measures: its meaning in the
// agent's terms, and the absolute difference of the two.
type ownClock struct {
	Means string        `json:"means"`
	Off   time.Duration `json:"off_ns"`
}

// split sets the phases.
func (r *result) split(records []harness.Record) {
	for into, phase := range map[*time.Duration]func(harness.Record) *int64{
		&r.Queue:     func(r harness.Record) *int64 { return r.Queue },
		&r.Parse:     func(r harness.Record) *int64 { return r.Parse },
		&r.App:       func(r harness.Record) *int64 { return r.App },
		&r.WriteBack: func(r harness.Record) *int64 { return r.WriteBack },
	} {
		var all []time.Duration
		for _, rec := range records {
			all = append(all, sum(phase(rec)))
		}
		*into = median(all)
	}
}

// table collects the results of the rows.
type table []result

func (tb *table) add(r result) { *tb = append(*tb, r) }

// write saves the results, and updates the documentation if requested. A run
// that failed or played only some rows does not update it.
func (tb table) write(t *testing.T) {
	t.Helper()
	root := harness.ModuleRoot(t)
	b, err := json.MarshalIndent(tb, "", "\t")
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Join(root, "build"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(root, "build", "servers.json"), append(b, '\n'), 0o644))
	if !*update {
		return
	}
	require.True(t, !t.Failed() && len(tb) == len(allServers())*len(harness.Plans(t)),
		"the documentation is not renewed: not every row was played with success")
	harness.WriteTable(t, filepath.Join(root, "docs", "servers.md"), tb.markdown())
}

func (tb table) markdown() string {
	var b strings.Builder
	b.WriteString("| server | plan | asked / seen | queue | parse | app | write_back | to app | from app | end | own clock: difference |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, r := range tb {
		fmt.Fprintf(&b, "| %s | %s | %d / %d | %s | %s | %s | %s | %s | %s | %s | %s |\n", r.Server, r.Plan, r.Asked, r.Requests,
			millis(r.Queue), millis(r.Parse), millis(r.App), millis(r.WriteBack),
			known(r.Threads != noApp, r.Entry), known(r.Threads != noApp, r.Leave), millis(r.End), owns(r.Own))
	}
	b.WriteString("\nWhat cannot be told apart from outside:\n\n")
	said := make(map[string]bool)
	for _, r := range tb {
		if r.Limits != "" && !said[r.Server] {
			said[r.Server] = true
			fmt.Fprintf(&b, "- %s: %s.\n", r.Server, r.Limits)
		}
	}
	return b.String()
}

func millis(d time.Duration) string { return fmt.Sprintf("%.2f", float64(d)/1e6) }

func known(is bool, d time.Duration) string {
	if !is {
		return ""
	}
	return millis(d)
}

func owns(all []ownClock) string {
	var cells []string
	for _, own := range all {
		cells = append(cells, own.Means+": "+millis(own.Off))
	}
	return strings.Join(cells, "<br>")
}
