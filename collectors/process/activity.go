package process

import (
	"fmt"

	"github.com/prometheus/procfs"
)

// maxThreads limits the threads of one process that are read.
const maxThreads = 512

// Sleeps returns, for each thread of a process, how often it has gone to sleep
// since it started. For a process with more than maxThreads threads, some are left
// out.
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
		if s, err := t.NewStatus(); err == nil { // else the thread ended meanwhile
			all[uint32(t.PID)] = s.VoluntaryCtxtSwitches
		}
	}
	return all, nil
}
