package main

import (
	"fmt"
	"os"
	"strconv"

	"github.com/prometheus/procfs"
)

// timerSlack is how late the kernel may wake a thread of the agent, in
// nanoseconds. Nothing here needs to be more punctual, and Go's runtime looks
// after itself every 20 µs while anything runs: unpunctual, that costs less.
const timerSlack = 1_000_000

// relaxTimers allows the agent's threads to be woken late. Threads that come
// later inherit it. It takes CAP_SYS_NICE.
func relaxTimers() error {
	// Twice: a thread that was not reached yet may have begun another one.
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
		if err != nil && !os.IsNotExist(err) { // it may have ended
			return fmt.Errorf("relax the timers of thread %d: %w", t.PID, err)
		}
	}
	return nil
}

// slackOf is where the kernel has a thread's slack. /proc/PID/task has it not.
func slackOf(tid int) string { return fmt.Sprintf("/proc/%d/timerslack_ns", tid) }
