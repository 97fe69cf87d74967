package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// children lists the processes that the main thread of pid has started.
func children(pid int) ([]int, error) {
	list, err := os.ReadFile(fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", pid))
	if err != nil {
		return nil, fmt.Errorf("find the children of process %d: %w", pid, err)
	}
	var pids []int
	for field := range strings.FieldsSeq(string(list)) {
		child, err := strconv.Atoi(field)
		if err != nil {
			return nil, fmt.Errorf("find the children of process %d: %w", pid, err)
		}
		pids = append(pids, child)
	}
	return pids, nil
}

// cpuTime returns the CPU time that all threads of a process have used so far,
// in user mode and in the kernel, including the probes. It is exact to
// nanoseconds, while /proc/PID/stat counts in hundredths of a second.
func cpuTime(pid int) (time.Duration, error) {
	// The kernel's encoding of the CPU clock of another process: the complement
	// of its pid, shifted left by three bits. The value 2 in these bits means
	// "time on the scheduler's clock".
	const schedulerClock = 2
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|schedulerClock), &ts); err != nil {
		return 0, fmt.Errorf("read the CPU time of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

// memory is the resident memory of a process, in bytes.
type memory struct {
	Now  uint64 `json:"rss_bytes"`
	Peak uint64 `json:"rss_max_bytes"`
}

func residentMemory(pid int) (memory, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return memory{}, fmt.Errorf("read the memory of process %d: %w", pid, err)
	}
	var m memory
	for line := range strings.SplitSeq(string(status), "\n") {
		key, value, _ := strings.Cut(line, ":")
		switch key {
		case "VmRSS":
			m.Now = kibibytes(value)
		case "VmHWM":
			m.Peak = kibibytes(value)
		}
	}
	if m.Now == 0 || m.Peak == 0 {
		return m, fmt.Errorf("process %d has no resident memory: it has ended", pid)
	}
	return m, nil
}

// kibibytes parses "  123 kB" and returns bytes. Anything else is zero.
func kibibytes(value string) uint64 {
	n, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
	if err != nil {
		return 0
	}
	return n << 10
}
