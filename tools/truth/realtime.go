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

// realtime starts a server on a thread with real-time priority, which processes
// inherit.
func realtime(opts child.Options) (*child.Child, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := setPolicy(unix.SCHED_RR, 1); err != nil {
		return nil, fmt.Errorf("give a server real-time priority: %w: run as root, or give -realtime=false", err)
	}
	c, err := child.Start(opts)
	return c, errors.Join(err, setPolicy(unix.SCHED_NORMAL, 0))
}

// setPolicy sets how the calling thread is scheduled.
func setPolicy(policy, priority uint32) error {
	return unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: policy, Priority: priority}, 0)
}
