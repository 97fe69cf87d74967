package process

import (
	"fmt"

	"github.com/prometheus/procfs"
)

// maxThreads bounds the threads of one process that are looked at.
const maxThreads = 512

// Sleeps counts, for each thread of a process, how often it has gone to sleep
// since it began. Of a process with very many threads some are left out.
func Sleeps(pid uint32) (map[uint32]uint64, error) {
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return nil, fmt.Errorf("open the process table: %w", err)
	}
	threads, err := fs.AllThreads(int(pid))
	if err != nil {
		return nil, fmt.Errorf("list the threads of process %d: %w", pid, err)
	}
	all := make(map[uint32]uint64, len(threads))
	for _, t := range threads[:min(len(threads), maxThreads)] {
		if s, err := t.NewStatus(); err == nil { // else it ended meanwhile
			all[uint32(t.PID)] = s.VoluntaryCtxtSwitches
		}
	}
	return all, nil
}
