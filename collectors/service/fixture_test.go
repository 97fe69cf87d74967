package service

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/tools/txtar"
)

// tree is what procTree unpacks, once.
var tree struct {
	sync.Once
	root string
}

func TestMain(m *testing.M) {
	status := m.Run()
	if tree.root != "" {
		_ = os.RemoveAll(tree.root)
	}
	os.Exit(status)
}

// procTree unpacks testdata/proc, which has an archive per process, into a tree
// with the form of the real one: a directory per process. Tests must not change it.
func procTree(t testing.TB) string {
	t.Helper()
	tree.Do(func() {
		var err error
		tree.root, err = os.MkdirTemp("", "lapwing-proc-")
		require.NoError(t, err)
		archives, err := filepath.Glob("testdata/proc/*.txtar")
		require.NoError(t, err)
		for _, a := range archives {
			unpack(t, strings.TrimSuffix(filepath.Base(a), ".txtar"), tree.root)
		}
	})
	return tree.root
}

// unpack makes the directory of one process. In an archive, each line of `links`
// has a name and a target, and each line of `cmdline` an argument.
func unpack(t testing.TB, pid, root string) {
	t.Helper()
	archive, err := txtar.ParseFile(filepath.Join("testdata/proc", pid+".txtar"))
	require.NoError(t, err)
	for _, f := range archive.Files {
		switch f.Name {
		case "links":
			for line := range strings.Lines(string(f.Data)) {
				name, target, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
				require.NoError(t, os.Symlink(target, place(t, root, pid, name)))
			}
		case "cmdline":
			arguments := strings.ReplaceAll(string(f.Data), "\n", "\x00")
			require.NoError(t, os.WriteFile(place(t, root, pid, f.Name), []byte(arguments), 0o644))
		default:
			require.NoError(t, os.WriteFile(place(t, root, pid, f.Name), f.Data, 0o644))
		}
	}
}

// place returns the path of a process's file, and makes its directory.
func place(t testing.TB, root, pid, name string) string {
	path := filepath.Join(root, pid, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	return path
}
