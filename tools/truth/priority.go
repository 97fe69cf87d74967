package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"

	"lapwing/tools/child"
)

// A server takes its stamps in user space. When a client that was just woken
// gets the CPU first, the stamp behind a system call is late by a whole turn
// of that client, and the agent, whose stamp is in the kernel, looks wrong. So
// the server that is measured runs with the highest usual priority. It is no
// real-time priority: whatever a server does then, the others still get a share
// of the CPU, about one part in 90. The scheduler is fair, so that this alone
// would let a client in now and then; hence clients, agent and the servers that
// are not measured are batch work (SCHED_BATCH): they take no CPU from anybody
// when they wake up.
//
// A server that computes would keep clients from coming, and the load would be
// no open one: it leaves one CPU to clients and agent, where there are several.

// favour is how the threads of a measured server are scheduled. They are batch
// work as well, so that they do not take the CPU from each other either.
var favour = unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_BATCH, Nice: -20}

// stepBack makes this process, and what it starts, batch work. Threads inherit
// it from the one that starts them: the second turn catches those that began
// during the first.
func stepBack() error {
	for range 2 {
		tasks, err := filepath.Glob("/proc/self/task/*")
		if err != nil {
			return err
		}
		for _, task := range tasks {
			tid, _ := strconv.Atoi(filepath.Base(task))
			if err := setBatch(tid); err != nil {
				return fmt.Errorf("make the clients batch work: %w: give -priority=false", err)
			}
		}
	}
	return nil
}

// setBatch makes a thread batch work, unless it has ended.
func setBatch(tid int) error {
	attr, err := unix.SchedGetAttr(tid, 0)
	if err == nil {
		attr.Policy = unix.SCHED_BATCH
		err = unix.SchedSetAttr(tid, attr, 0)
	}
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}

// favoured starts a server from a thread with priority, where computes is set
// with all CPUs but one. The server's threads and processes inherit both; the
// calling thread gives them back.
func favoured(opts child.Options, computes bool) (c *child.Child, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var cpus unix.CPUSet
	if err := unix.SchedGetaffinity(0, &cpus); err != nil {
		return nil, fmt.Errorf("learn the CPUs of a server: %w", err)
	}
	usual, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		return nil, fmt.Errorf("learn the priority of a server: %w", err)
	}
	if err := unix.SchedSetAttr(0, &favour, 0); err != nil {
		return nil, fmt.Errorf("give a server priority: %w: run as root, or give -priority=false", err)
	}
	defer func() {
		err = errors.Join(err, unix.SchedSetAttr(0, usual, 0), unix.SchedSetaffinity(0, &cpus))
	}()
	if computes {
		served := allButOne(cpus)
		if err := unix.SchedSetaffinity(0, &served); err != nil {
			return nil, fmt.Errorf("choose the CPUs of a server: %w", err)
		}
	}
	opts.Session = true
	if c, err = child.Start(opts); err != nil {
		return nil, err
	}
	return c, favourSession(c.PID())
}

// favourSession gives a session priority over others: where the kernel shares
// the CPU out between sessions first (sched_autogroup), a nice value counts
// within one only.
func favourSession(leader int) error {
	file, err := os.OpenFile(fmt.Sprintf("/proc/%d/autogroup", leader), os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the kernel has no such thing, or the server has ended: its own story
	}
	if err != nil {
		return fmt.Errorf("give a server's session priority: %w", err)
	}
	_, err = file.WriteString(strconv.Itoa(int(favour.Nice)))
	return errors.Join(err, file.Close())
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
