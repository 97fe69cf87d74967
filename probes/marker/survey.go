package marker

import (
	"context"
	"slices"
	"time"

	"github.com/prometheus/procfs"

	"lapwing/probes/foreign"
)

// surveyTime is how long a survey may take.
const surveyTime = 10 * time.Second

// Found is a marker and the files of running processes that hold it.
type Found struct {
	Marker
	Files []string // as the processes see them, sorted
}

// Survey looks for all markers of the table in the processes that run, and
// counts by reason what it was refused. It attaches nothing.
func Survey() (found []Found, refused map[string]uint64, err error) {
	found = make([]Found, len(Table))
	for i, m := range Table {
		found[i].Marker = m
	}
	all, err := procfs.AllProcs()
	if err != nil {
		return found, nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), surveyTime)
	defer cancel()
	s := surveyor{found: found, looker: newLooker(Table), done: map[foreign.FileID]bool{}, refused: map[string]uint64{}}
	for _, p := range all {
		s.process(ctx, p.PID)
	}
	for _, f := range found {
		slices.Sort(f.Files)
	}
	return found, s.refused, nil
}

type surveyor struct {
	looker  *looker
	found   []Found
	done    map[foreign.FileID]bool
	refused map[string]uint64
}

// process looks into the files of a process.
func (s *surveyor) process(ctx context.Context, pid int) {
	exe := foreign.Program(pid)
	if exe == "" || !knows(Table, exe) {
		return
	}
	user, err := foreign.User(pid)
	if err != nil {
		return // it is gone
	}
	files, err := s.looker.candidates(ctx, pid, exe, user)
	if err != nil {
		s.refuse(err)
	}
	for _, c := range files {
		if s.done[c.ID] {
			continue
		}
		if err := s.file(ctx, pid, exe, user, c); err != nil {
			s.refuse(err)
		}
	}
}

// refuse counts what was left alone. That a process ended is no refusal.
func (s *surveyor) refuse(err error) {
	if reason := foreign.ReasonOf(err); reason != foreign.Gone {
		s.refused[string(reason)]++
	}
}

func (s *surveyor) file(ctx context.Context, pid int, exe string, user uint32, c candidate) error {
	f, err := s.looker.open(ctx, pid, exe, user, c)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	spots, err := s.looker.functions(ctx, f, c)
	if err == nil || foreign.OfFile(err) {
		s.done[c.ID] = true
	}
	for _, m := range c.markers {
		if _, ok := spots[m.Symbol]; ok {
			i := slices.IndexFunc(s.found, func(f Found) bool { return f.Marker == m })
			s.found[i].Files = append(s.found[i].Files, c.Path)
		}
	}
	return err
}
