package main

import (
	"os"
	"runtime"
	"runtime/debug"

	"lapwing/agent/privilege"
)

// version is set by the linker.
var version = "unknown"

// garbage is the amount of garbage that the heap may hold, in percent of the
// memory in use. The data of requests is not allocated anew, so collections are
// rare. In production, memory is the first thing that an agent is asked to
// save.
const garbage = 50

// init keeps all other goroutines off the process's first thread. The kernel gives a
// signal to that thread even if the thread waits in the kernel for a process that does
// not answer. No other thread would take the signal until the wait ends.
func init() { runtime.LockOSThread() }

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbage)
	}
	a := newApp()
	if err := privilege.Runs(); err != nil {
		a.complain(err)
		os.Exit(statusError)
	}
	os.Exit(a.execute(os.Args[1:]))
}
