package main

import (
	"os"
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
