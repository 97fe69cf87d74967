package process

import (
	"fmt"
	"os"
	"time"

	gopsutil "github.com/shirou/gopsutil/v3/process"
)

// Usage is what a process uses at one moment.
type Usage struct {
	CPUTime     time.Duration // user and system, since the process started
	RSS         uint64        // resident memory in bytes
	Descriptors int           // open descriptors; 0 if the agent is not permitted to list them
	Threads     int
}

// Sample reads the usage of a process. It fails if the process is gone.
func Sample(pid uint32) (Usage, error) {
	// The constructor of the library would open a file (pidfd), which stays open
	// until the garbage collector frees it.
	p := &gopsutil.Process{Pid: int32(pid)}
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
	descriptors, _ := openFiles(p)
	return Usage{
		CPUTime:     time.Duration((times.User + times.System) * float64(time.Second)),
		RSS:         memory.RSS,
		Descriptors: int(descriptors),
		Threads:     int(threads),
	}, nil
}

// openFiles returns the number of open descriptors of a process. Since Linux 6.2
// this number is the size of the directory that lists them. Before, they have to be
// listed. This is slow if there are many, and it needs a privilege if the process
// belongs to another user.
func openFiles(p *gopsutil.Process) (int32, error) {
	folder, err := os.Stat(fmt.Sprintf("/proc/%d/fd", p.Pid))
	if err == nil && folder.Size() > 0 {
		return int32(folder.Size()), nil
	}
	return p.NumFDs()
}
