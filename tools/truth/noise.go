package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// noise is the other activity of the machine. It can delay the stamps that a
// server takes, without affecting those of the agent.
type noise struct {
	steal  time.Duration // CPU time that the hypervisor gave to other guests
	waited time.Duration // time for which threads of the servers were runnable without a CPU
	// preempted is how often one of these threads was preempted.
	preempted int
}

func (n noise) since(before noise) noise {
	return noise{n.steal - before.steal, n.waited - before.waited, n.preempted - before.preempted}
}

// noise reads the counters. What cannot be read is left out.
func (s *stage) noise() noise {
	n := noise{steal: stolen()}
	for _, server := range []*server{s.entry, s.daemon} {
		if server != nil {
			n.add(server.proc.PID())
		}
	}
	return n
}

// stolen returns the steal time of the machine.
func stolen() time.Duration {
	const perTick = 10 * time.Millisecond // USER_HZ is 100 on all known machines
	b, _ := os.ReadFile("/proc/stat")
	line, _, _ := strings.Cut(string(b), "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 {
		return 0
	}
	ticks, _ := strconv.ParseInt(fields[8], 10, 64)
	return time.Duration(ticks) * perTick
}

// add adds the counters of all threads of a process and its children.
func (n *noise) add(pid int) {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	for _, task := range tasks {
		b, _ := os.ReadFile(task + "/schedstat")
		if fields := strings.Fields(string(b)); len(fields) == 3 {
			ns, _ := strconv.ParseInt(fields[1], 10, 64)
			n.waited += time.Duration(ns)
		}
		b, _ = os.ReadFile(task + "/status")
		_, after, _ := strings.Cut(string(b), "nonvoluntary_ctxt_switches:")
		count, _ := strconv.Atoi(strings.TrimSpace(after))
		n.preempted += count
		for _, child := range children(task) {
			n.add(child)
		}
	}
}

// children lists the processes that a thread, /proc/PID/task/TID, has started.
func children(task string) (pids []int) {
	b, _ := os.ReadFile(task + "/children")
	for field := range strings.FieldsSeq(string(b)) {
		if pid, err := strconv.Atoi(field); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}
