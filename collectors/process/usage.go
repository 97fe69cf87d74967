package process

import (
	"fmt"
	"time"

	gopsutil "github.com/shirou/gopsutil/v3/process"
)

// Usage is what a process uses at one moment.
type Usage struct {
	CPUTime     time.Duration // user and system, since the process started
	RSS         uint64        // resident memory in bytes
	Descriptors int           // open; 0 where the agent may not look
	Threads     int
}

// Sample reads the usage of a process. It fails when the process is gone.
func Sample(pid uint32) (Usage, error) {
	p, err := gopsutil.NewProcess(int32(pid))
	if err != nil {
		return Usage{}, fmt.Errorf("look at process %d: %w", pid, err)
	}
	times, err := p.Times()
	if err != nil {
		return Usage{}, fmt.Errorf("read the CPU time of process %d: %w", pid, err)
	}
	memory, err := p.MemoryInfo()
	if err != nil {
		return Usage{}, fmt.Errorf("read the memory of process %d: %w", pid, err)
	}
	threads, err := p.NumThreads()
	if err != nil {
		return Usage{}, fmt.Errorf("count the threads of process %d: %w", pid, err)
	}
	// Only this needs a privilege where the process is another user's.
	descriptors, _ := p.NumFDs()
	return Usage{
		CPUTime:     time.Duration((times.User + times.System) * float64(time.Second)),
		RSS:         memory.RSS,
		Descriptors: int(descriptors),
		Threads:     int(threads),
	}, nil
}
