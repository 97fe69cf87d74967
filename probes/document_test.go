package probes

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the table of maps in docs/architecture.md anew")

// programsOf lists, for each map of a plan, the programs that use it, in their own code
// or in that of a function that they call.
func programsOf(t *testing.T, object string) (programs map[string][]string, kinds map[string]string) {
	t.Helper()
	spec, err := ebpf.LoadCollectionSpec(object)
	require.NoError(t, err)
	programs, kinds = map[string][]string{}, map[string]string{}
	for name, p := range spec.Programs {
		for _, ins := range p.Instructions {
			m := ins.Reference()
			if !ins.IsLoadFromMap() || strings.HasPrefix(m, ".") { // variables, constants
				continue
			}
			kinds[m] = spec.Maps[m].Type.String()
			if !slices.Contains(programs[m], name) {
				programs[m] = append(programs[m], name)
			}
		}
	}
	for _, names := range programs {
		slices.Sort(names)
	}
	return programs, kinds
}

// TestMapsAreDocumented compares the table of maps and programs with the objects.
func TestMapsAreDocumented(t *testing.T) {
	const page, begin, end = "../docs/architecture.md", "| map | type | ", "\n\n"
	bySocket, kinds := programsOf(t, "socket/bpf/socketplan_x86_bpfel.o")
	bySyscall, others := programsOf(t, "socket/bpf/syscallplan_x86_bpfel.o")
	for m, kind := range others {
		if kinds[m] != "" && kinds[m] != kind {
			kind = kinds[m] + ", " + kind
		}
		kinds[m] = kind
	}
	table := begin + "plan `socket` | plan `syscall` |\n|---|---|---|---|\n"
	for _, m := range slices.Sorted(maps.Keys(kinds)) {
		table += fmt.Sprintf("| `%s` | %s | %s | %s |\n", m, kinds[m], strings.Join(bySocket[m], ", "), strings.Join(bySyscall[m], ", "))
	}
	raw, err := os.ReadFile(page)
	require.NoError(t, err)
	before, rest, found := strings.Cut(string(raw), begin)
	require.True(t, found, "the table")
	shown, after, found := strings.Cut(rest, end)
	require.True(t, found, "the table's end")
	want := before + strings.TrimSuffix(table, "\n") + end + after
	if *update {
		require.NoError(t, os.WriteFile(page, []byte(want), 0o644))
		return
	}
	assert.Equal(t, strings.TrimSuffix(table, "\n"), begin+shown, "go test ./probes -run Documented -update writes the table")
}
