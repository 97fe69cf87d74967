package service

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A process that executes another program has the new name from then on, and keeps
// the old name for what it did before.
func TestExecutedProgram(t *testing.T) {
	root, dir := copyProcess(t, "203")
	r := fixture(t, func(o *Options) { o.Proc = root })
	require.Equal(t, "http.server", r.LookupAt(203, "", 1000).Name)

	rewrite(t, filepath.Join(dir, "cmdline"), "http.server", "flask")
	require.Equal(t, "http.server", r.LookupAt(203, "", 1500).Name, "nobody has told yet")
	r.Executed(203, 2000)
	require.Equal(t, "http.server", r.LookupAt(203, "", 1999).Name)
	require.Equal(t, "flask", r.LookupAt(203, "", 2000).Name)
	require.Equal(t, "flask", r.LookupAt(203, "", 0).Name, "of what is not known when")
}

// A process that serves for the first time is not the process that had its id
// before.
func TestServingProcessOfAUsedID(t *testing.T) {
	const born, bornAgain = 20300 * ticks, 999999 * ticks
	root, dir := copyProcess(t, "203")
	r := fixture(t, func(o *Options) { o.Proc = root })
	require.Equal(t, "http.server", r.LookupAt(203, "", 1000).Name)

	rewrite(t, filepath.Join(dir, "cmdline"), "http.server", "flask")
	r.Serves(203, born+1, 1100)
	require.Equal(t, "http.server", r.LookupAt(203, "", 1200).Name, "the same process keeps its identity")

	rewrite(t, filepath.Join(dir, "stat"), " 20300 ", " 999999 ")
	r.Serves(203, bornAgain, 2000)
	require.Equal(t, "http.server", r.LookupAt(203, "", 1999).Name)
	require.Equal(t, "flask", r.LookupAt(203, "", 2000).Name)
}
