package marker

import (
	"slices"

	"github.com/prometheus/procfs"
)

// Found is a marker and the files of running processes that hold it.
type Found struct {
	Marker
	Files []string // as the processes see them, sorted
}

// Survey looks for all markers of the table in the processes that run. It
// attaches nothing.
func Survey() ([]Found, error) {
	found := make([]Found, len(Table))
	for i, m := range Table {
		found[i].Marker = m
	}
	all, err := procfs.AllProcs()
	if err != nil {
		return found, err
	}
	s := surveyor{found: found, done: map[fileID]bool{}}
	for _, p := range all {
		s.process(p.PID)
	}
	for _, f := range found {
		slices.Sort(f.Files)
	}
	return found, nil
}

type surveyor struct {
	found []Found
	done  map[fileID]bool
}

// process looks into the files of a process. One that is gone, or that may
// not be looked at, has none.
func (s *surveyor) process(pid int) {
	exe := program(pid)
	if exe == "" || !knows(Table, exe) {
		return
	}
	files, err := candidates(pid, exe, Table)
	if err != nil {
		return
	}
	for _, c := range files {
		s.file(c)
	}
}

func (s *surveyor) file(c candidate) {
	f, id, err := c.open()
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }()
	img, err := openImage(f)
	if err != nil || s.done[id] {
		return
	}
	s.done[id] = true
	for _, m := range c.markers {
		if _, err := img.function(m.Symbol); err == nil {
			i := slices.IndexFunc(s.found, func(f Found) bool { return f.Marker == m })
			s.found[i].Files = append(s.found[i].Files, c.path)
		}
	}
}
