package gateways

import (
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
	"lapwing/probes/socket/survey"
)

var update = flag.Bool("update", false, "write the table of docs/protocols.md anew")

// measured is how much longer something took by the agent than by the server.
type measured struct {
	plan, hop, what string
	median, p5, p95 time.Duration
}

// table holds what TestGateways measured. Its subtests run one after the other.
type table struct {
	rows []measured
	seen map[string]int // number of requests, by plan and hop
}

var results = table{seen: map[string]int{}}

// placeOf returns the plan and the hop in the name of a subtest. ok is false
// for other tests.
func placeOf(t *testing.T) (plan, hop string, ok bool) {
	parts := strings.Split(t.Name(), "/")
	if parts[0] != "TestGateways" || len(parts) != 3 {
		return "", "", false
	}
	return parts[1], parts[2], true
}

func (tb *table) saw(t *testing.T, n int) {
	if plan, hop, ok := placeOf(t); ok {
		tb.seen[plan+"/"+hop] = n
	}
}

func (tb *table) add(t *testing.T, what string, median, p5, p95 time.Duration) {
	if plan, hop, ok := placeOf(t); ok {
		tb.rows = append(tb.rows, measured{plan, hop, what, median, p5, p95})
	}
}

// write updates the documentation if requested, unless the run failed.
func (tb *table) write(t *testing.T) {
	t.Helper()
	if !*update {
		return
	}
	require.False(t, t.Failed(), "the documentation is not renewed: not every hop was played with success")
	page := filepath.Join(harness.ModuleRoot(t), "docs", "protocols.md")
	harness.WriteTable(t, page, tb.markdown(harness.Plans(t)))
}

func (tb *table) markdown(plans []survey.Plan) string {
	var b strings.Builder
	b.WriteString("| hop | against | plan | asked / seen | median | 5 % | 95 % |\n|---|---|---|---|---|---|---|\n")
	rows := slices.Clone(tb.rows)
	slices.SortStableFunc(rows, func(x, y measured) int {
		return slices.Index(plans, survey.Plan(x.plan)) - slices.Index(plans, survey.Plan(y.plan))
	})
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %s | %s | %d / %d | %s | %s | %s |\n", r.hop, r.what, r.plan,
			requests, tb.seen[r.plan+"/"+r.hop], micros(r.median), micros(r.p5), micros(r.p95))
	}
	return b.String()
}

func micros(d time.Duration) string {
	return fmt.Sprintf("%d µs", d.Round(time.Microsecond).Microseconds())
}
