package main

import (
	"fmt"
	"os"
	"strconv"

	"github.com/prometheus/procfs"
)

// timerSlack is how late the kernel may wake a thread of the agent, in
// nanoseconds. No timer here needs to be more precise. While anything runs,
// Go's runtime wakes every 20 µs for its own work, which costs less with this
// slack.
const timerSlack = 1_000_000

// relaxTimers allows the agent's threads to be woken late. Later threads
// inherit it. It needs CAP_SYS_NICE.
func relaxTimers() error {
	// Twice: a thread that was not reached yet may have started another one.
	for range 2 {
		if err := relaxThreads(); err != nil {
			return err
		}
	}
	return nil
}

func relaxThreads() error {
	threads, err := procfs.AllThreads(os.Getpid())
	if err != nil {
		return fmt.Errorf("list the agent's threads: %w", err)
	}
	for _, t := range threads {
		err := os.WriteFile(slackOf(t.PID), []byte(strconv.Itoa(timerSlack)), 0)
		if err != nil && !os.IsNotExist(err) { // the thread may have ended
			return fmt.Errorf("relax the timers of thread %d: %w", t.PID, err)
		}
	}
	return nil
}

// slackOf returns the file with the slack of a thread. It is not in
// /proc/PID/task.
func slackOf(tid int) string { return fmt.Sprintf("/proc/%d/timerslack_ns", tid) }
