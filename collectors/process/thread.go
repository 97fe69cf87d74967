package process

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// ticksPerSecond is the unit of CPU and start times in /proc. Linux shows the
// same one to user space on every architecture, whatever its timer does.
const ticksPerSecond = 100

// Thread is what /proc tells of a thread.
type Thread struct {
	PID uint32 // its process
	// Start is when it started, since boot. With its id it is unique until
	// the next boot.
	Start time.Duration
	CPU   time.Duration // user and system
	Comm  string
}

// errEnded is that of a thread of which only the exit status is left.
var errEnded = errors.New("the process has ended")

// ReadThread reads the facts about a thread. pid is the process it is thought
// to belong to; where that is wrong the thread's own process is found. It fails
// when the thread is gone.
func ReadThread(pid, tid uint32) (Thread, error) {
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return Thread{}, fmt.Errorf("open the process table: %w", err)
	}
	stat, err := threadStat(fs, pid, tid)
	if err != nil {
		if pid, err = processOf(fs, tid); err == nil {
			stat, err = threadStat(fs, pid, tid)
		}
	}
	if err == nil && (stat.State == "Z" || stat.State == "X") {
		err = errEnded
	}
	if err != nil {
		return Thread{}, fmt.Errorf("read thread %d: %w", tid, err)
	}
	return Thread{PID: pid, Start: ticks(stat.Starttime), CPU: ticks(uint64(stat.UTime + stat.STime)), Comm: stat.Comm}, nil
}

func threadStat(fs procfs.FS, pid, tid uint32) (procfs.ProcStat, error) {
	p, err := fs.Thread(int(pid), int(tid))
	if err != nil {
		return procfs.ProcStat{}, err
	}
	return p.Stat()
}

// processOf finds the process of a thread by the thread's id alone.
func processOf(fs procfs.FS, tid uint32) (uint32, error) {
	alone, err := fs.Proc(int(tid))
	if err != nil {
		return 0, err
	}
	status, err := alone.NewStatus()
	return uint32(status.TGID), err
}

func ticks(n uint64) time.Duration { return time.Duration(n) * (time.Second / ticksPerSecond) }

// SinceBoot is the clock of Thread.Start.
func SinceBoot() time.Duration {
	var ts unix.Timespec
	// CLOCK_BOOTTIME cannot fail on Linux.
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts)
	return time.Duration(ts.Nano())
}
