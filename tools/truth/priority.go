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

// A server takes its stamps in user space. If a client that was just woken gets
// the CPU first, the stamp after a system call is late by a whole time slice of
// that client. The agent, which takes its stamp in the kernel, then looks
// wrong. So the measured server runs with the highest normal priority. It is
// not a real-time priority, so the others always get a share of the CPU, about
// 1/90. As the scheduler is fair, this alone would still let a client run now
// and then. Therefore the clients, the agent and the other servers are batch
// work (SCHED_BATCH): they do not preempt other threads when they wake up.
//
// A server that computes would keep clients from coming, and the loop would not
// be open. So it leaves one CPU to clients and agent, if there are several.

// favour is the scheduling of the threads of a measured server. They are batch
// work as well, so that they do not preempt each other either.
var favour = unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_BATCH, Nice: -20}

// stepBack makes this process, and what it starts, batch work. Threads inherit
// it from the thread that starts them. The second pass covers threads that
// started during the first.
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

// favoured starts a server from a thread with high priority. If computes is set, the
// thread uses all CPUs except one. The threads and processes of the server
// inherit both. Afterwards the calling thread restores its own settings.
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

// favourSession gives a session priority over others. If the kernel divides the
// CPU between sessions first (sched_autogroup), a nice value only counts within
// a session.
func favourSession(leader int) error {
	file, err := os.OpenFile(fmt.Sprintf("/proc/%d/autogroup", leader), os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the kernel has no autogroups, or the server has ended, which is reported elsewhere
	}
	if err != nil {
		return fmt.Errorf("give a server's session priority: %w", err)
	}
	_, err = file.WriteString(strconv.Itoa(int(favour.Nice)))
	return errors.Join(err, file.Close())
}

// allButOne removes the first CPU, unless it is the only one.
func allButOne(cpus unix.CPUSet) unix.CPUSet {
	for cpu := 0; cpus.Count() > 1; cpu++ {
		if cpus.IsSet(cpu) {
			cpus.Clear(cpu)
			break
		}
	}
	return cpus
}
