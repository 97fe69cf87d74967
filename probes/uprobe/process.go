package uprobe

import (
	"path/filepath"

	"lapwing/probes/foreign"
)

// candidate is a file that a process runs code of and that may hold functions.
type candidate struct {
	foreign.Mapping
	functions []Function
}

// symbols returns the names of the functions to look for.
func (c candidate) symbols() []string {
	var names []string
	for _, f := range c.functions {
		names = append(names, f.Symbol)
	}
	return names
}

// candidates lists the files of a process that may hold one of the functions. It
// waits for the lock of the process's memory.
func candidates(pid int, exe string, functions []Function) ([]candidate, error) {
	mappings, err := foreign.Mappings(pid, func(path string) bool { return len(Holding(functions, exe, path)) > 0 })
	var found []candidate
	for _, m := range mappings {
		found = append(found, candidate{m, Holding(functions, exe, m.Path)})
	}
	return found, err
}

// Holding lists the functions that a file may hold, by its name.
func Holding(functions []Function, exe, file string) []Function {
	var in []Function
	for _, f := range functions {
		if f.in(filepath.Base(exe), filepath.Base(file)) {
			in = append(in, f)
		}
	}
	return in
}
