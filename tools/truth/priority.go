package main

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"

	"lapwing/tools/child"
)

// A server takes its stamps in user space. When a client that was just woken
// gets the CPU first, the stamp behind a system call is late by a whole turn
// of that client, and the agent, whose stamp is in the kernel, looks wrong. So
// the server that is measured has the lowest real-time priority: whatever else
// wants its CPU waits until it sleeps. Its own threads take turns (SCHED_RR).

//
// A server that computes would keep clients from coming, and the load would be
// no open one: it leaves one CPU to clients and agent, where there are several.

// realtime starts a server on a thread with real-time priority, where computes
// is set with all CPUs but one: processes inherit both.
func realtime(opts child.Options, computes bool) (c *child.Child, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var usual unix.CPUSet
	if err := unix.SchedGetaffinity(0, &usual); err != nil {
		return nil, fmt.Errorf("learn the CPUs of a server: %w", err)
	}
	if err := setPolicy(unix.SCHED_RR, 1); err != nil {
		return nil, fmt.Errorf("give a server real-time priority: %w: run as root, or give -realtime=false", err)
	}
	defer func() {
		err = errors.Join(err, setPolicy(unix.SCHED_NORMAL, 0), unix.SchedSetaffinity(0, &usual))
	}()
	if computes {
		served := allButOne(usual)
		if err := unix.SchedSetaffinity(0, &served); err != nil {
			return nil, fmt.Errorf("choose the CPUs of a server: %w", err)
		}
	}
	return child.Start(opts)
}

// allButOne leaves out the first CPU, unless it is the only one.
func allButOne(cpus unix.CPUSet) unix.CPUSet {
	for cpu := 0; cpus.Count() > 1; cpu++ {
		if cpus.IsSet(cpu) {
			cpus.Clear(cpu)
			break
		}
	}
	return cpus
}

// setPolicy sets how the calling thread is scheduled.
func setPolicy(policy, priority uint32) error {
	return unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: policy, Priority: priority}, 0)
}
