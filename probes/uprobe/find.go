package uprobe

import (
	"context"
	"slices"
	"time"

	"github.com/prometheus/procfs"

	"lapwing/probes/foreign"
)

// findTime is how long a search may take.
const findTime = 10 * time.Second

// Found is a function and the files of running processes that hold it.
type Found struct {
	Function
	Files []string // as the processes see them, sorted
}

// Find looks for functions in the running processes, and counts what it was refused, by
// reason. It attaches nothing. The result is in the order of the functions.
func Find(functions []Function) (found []Found, refused map[string]uint64, err error) {
	found = make([]Found, len(functions))
	for i, f := range functions {
		found[i].Function = f
	}
	all, err := procfs.AllProcs()
	if err != nil {
		return found, nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), findTime)
	defer cancel()
	s := search{found: found, looker: newLooker(functions), done: map[foreign.FileID]bool{}, refused: map[string]uint64{}}
	for _, p := range all {
		s.process(ctx, p.PID)
	}
	for _, f := range found {
		slices.Sort(f.Files)
	}
	return found, s.refused, nil
}

type search struct {
	looker  *looker
	found   []Found
	done    map[foreign.FileID]bool
	refused map[string]uint64
}

// process looks into the files of a process.
func (s *search) process(ctx context.Context, pid int) {
	exe := foreign.Program(pid)
	if exe == "" || !knows(s.looker.functions, exe) {
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

// refuse counts what was left alone. It is not a refusal if a process ended.
func (s *search) refuse(err error) {
	if reason := foreign.ReasonOf(err); reason != foreign.Gone {
		s.refused[string(reason)]++
	}
}

func (s *search) file(ctx context.Context, pid int, exe string, user uint32, c candidate) error {
	f, err := s.looker.open(ctx, pid, exe, user, c)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	spots, err := s.looker.spots(ctx, f, c)
	if err == nil || foreign.OfFile(err) {
		s.done[c.ID] = true
	}
	for _, fn := range c.functions {
		if _, ok := spots[fn.Symbol]; ok {
			i := slices.IndexFunc(s.found, func(f Found) bool { return f.Function == fn })
			s.found[i].Files = append(s.found[i].Files, c.Path)
		}
	}
	return err
}
