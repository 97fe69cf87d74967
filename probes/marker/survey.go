package marker

import "lapwing/probes/uprobe"

// Found is a marker and the files of running processes that hold it.
type Found struct {
	Marker
	Files []string // as the processes see them, sorted
}

// Survey looks for all markers of the table in the running processes, and counts what it
// was refused, by reason. It attaches nothing.
func Survey() (found []Found, refused map[string]uint64, err error) {
	functions := make([]uprobe.Function, len(Table))
	for i, m := range Table {
		functions[i] = m.function(On)
	}
	all, refused, err := uprobe.Find(functions)
	for i, f := range all {
		found = append(found, Found{Table[i], f.Files})
	}
	return found, refused, err
}
