package harness

import (
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// CheckTotals compares the total number of records per listening address: no
// record may come late or twice, or for something that is not a request.
func CheckTotals(t testing.TB, records []Record, wanted map[string]int) {
	t.Helper()
	printed := make(map[string][]string)
	for _, r := range records {
		printed[r.Local] = append(printed[r.Local], r.Line)
		_, known := wanted[r.Local]
		assert.True(t, known, "a record for an address where nobody listens: %s", r.Line)
	}
	for address, want := range wanted {
		got := printed[address]
		assert.Equal(t, want, len(got), "records at %s:\n%s", address, strings.Join(got, "\n"))
	}
}

// Unknown returns the numbers of connections of unknown protocol in the agent's
// final account, by reason.
func Unknown(log string) map[string]int {
	counts := make(map[string]int)
	group := regexp.MustCompile(`\(([^()]*)\) connections of unknown protocol`).FindStringSubmatch(log)
	if group == nil {
		return counts
	}
	for _, m := range regexp.MustCompile(`(\w+) (\d+)`).FindAllStringSubmatch(group[1], -1) {
		counts[m[1]], _ = strconv.Atoi(m[2])
	}
	return counts
}
