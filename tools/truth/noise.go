package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// noise is what the machine did besides: it can put off the stamps that a
// server takes, and does not show in the agent's.
type noise struct {
	steal  time.Duration // CPU time that the host gave to others
	waited time.Duration // time that the servers' threads were ready and had no CPU
}

func (n noise) since(before noise) noise {
	return noise{n.steal - before.steal, n.waited - before.waited}
}

// listen reads the counters. What cannot be read is left out.
func (s *stage) noise() noise {
	n := noise{steal: stolen()}
	for _, server := range []*server{s.entry, s.daemon} {
		if server != nil {
			n.waited += waited(server.proc.PID())
		}
	}
	return n
}

// stolen is the machine's steal time.
func stolen() time.Duration {
	const perTick = 10 * time.Millisecond // USER_HZ is 100 on all machines we know
	b, _ := os.ReadFile("/proc/stat")
	line, _, _ := strings.Cut(string(b), "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 {
		return 0
	}
	ticks, _ := strconv.ParseInt(fields[8], 10, 64)
	return time.Duration(ticks) * perTick
}

// waited adds up the run delay of all threads of a process and its children.
func waited(pid int) (sum time.Duration) {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	for _, task := range tasks {
		b, _ := os.ReadFile(task + "/schedstat")
		if fields := strings.Fields(string(b)); len(fields) == 3 {
			ns, _ := strconv.ParseInt(fields[1], 10, 64)
			sum += time.Duration(ns)
		}
		b, _ = os.ReadFile(task + "/children")
		for field := range strings.FieldsSeq(string(b)) {
			if child, err := strconv.Atoi(field); err == nil {
				sum += waited(child)
			}
		}
	}
	return sum
}
