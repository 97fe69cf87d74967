package harness

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	tableBegin = "<!-- table: begin -->\n"
	tableEnd   = "<!-- table: end -->\n"
)

// WriteTable writes a table between its marks in a page of the documentation.
func WriteTable(t testing.TB, page, table string) {
	t.Helper()
	b, err := os.ReadFile(page)
	require.NoError(t, err)
	head, rest, begins := strings.Cut(string(b), tableBegin)
	_, tail, ends := strings.Cut(rest, tableEnd)
	require.True(t, begins && ends, "%s has no marks for the table", page)
	require.NoError(t, os.WriteFile(page, []byte(head+tableBegin+table+tableEnd+tail), 0o644))
}
