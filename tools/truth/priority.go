package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"

	"lapwing/tools/child"
)

// A server takes its stamps in user space. When a client that was just woken
// gets the CPU first, the stamp behind a system call is late by a whole turn
// of that client, and the agent, whose stamp is in the kernel, looks wrong. So
// the servers have the first claim to a CPU.
const (
	nicest = -20
	usual  = 0
)

// first starts a server on a thread that has the first claim to a CPU, which
// processes inherit.
func first(opts child.Options) (*child.Child, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := setNice(nicest); err != nil {
		return nil, fmt.Errorf("raise the priority of a server: %w: run as root, or give -first=false", err)
	}
	opts.Session = true
	c, err := child.Start(opts)
	if err == nil {
		err = favour(c.PID())
	}
	return c, errors.Join(err, setNice(usual))
}

// setNice sets the claim of the calling thread to a CPU.
func setNice(n int) error { return unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), n) }

// favour raises the claim of a session: kernels with CONFIG_SCHED_AUTOGROUP
// share the CPU out among sessions first, and look at the priorities of their
// processes afterwards.
func favour(pid int) error {
	err := os.WriteFile(fmt.Sprintf("/proc/%d/autogroup", pid), []byte(strconv.Itoa(nicest)), 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
