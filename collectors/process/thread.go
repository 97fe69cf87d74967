package process

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// ticksPerSecond is the unit of CPU and start times in /proc. Linux uses the same
// one for user space on every architecture, whatever the frequency of its timer is.
const ticksPerSecond = 100

// Thread is what /proc says about a thread.
type Thread struct {
	PID uint32 // its process
	// Start is when the thread started, since boot. Together with the thread's id
	// it is unique until the next boot.
	Start time.Duration
	CPU   time.Duration // user and system
	Comm  string
}

// errEnded says that only the exit status of a thread is left.
var errEnded = errors.New("the process has ended")

// ReadThread reads the facts about a thread. pid is the process that it is expected
// to belong to. If that is wrong, ReadThread finds the thread's own process. It
// fails if the thread is gone.
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

// processOf returns the process of a thread, given only the thread's id.
func processOf(fs procfs.FS, tid uint32) (uint32, error) {
	alone, err := fs.Proc(int(tid))
	if err != nil {
		return 0, err
	}
	status, err := alone.NewStatus()
	return uint32(status.TGID), err
}

func ticks(n uint64) time.Duration { return time.Duration(n) * (time.Second / ticksPerSecond) }

// SinceBoot returns the time on the clock of Thread.Start.
func SinceBoot() time.Duration {
	var ts unix.Timespec
	// CLOCK_BOOTTIME cannot fail on Linux.
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts)
	return time.Duration(ts.Nano())
}
