package marker

import (
	"path/filepath"

	"lapwing/probes/foreign"
)

// candidate is a file that a process runs code of and that may hold markers.
type candidate struct {
	foreign.Mapping
	markers []Marker
}

// symbols are the functions to look for.
func (c candidate) symbols() []string {
	var names []string
	for _, m := range c.markers {
		names = append(names, m.Symbol)
	}
	return names
}

// candidates lists the files of a process that may hold one of the markers. It
// waits for the lock of the process's memory.
func candidates(pid int, exe string, markers []Marker) ([]candidate, error) {
	mappings, err := foreign.Mappings(pid, func(path string) bool { return len(holding(markers, exe, path)) > 0 })
	var found []candidate
	for _, m := range mappings {
		found = append(found, candidate{m, holding(markers, exe, m.Path)})
	}
	return found, err
}

// holding lists the markers that a file may hold, by its name.
func holding(markers []Marker, exe, file string) []Marker {
	var in []Marker
	for _, m := range markers {
		if m.in(filepath.Base(exe), filepath.Base(file)) {
			in = append(in, m)
		}
	}
	return in
}
