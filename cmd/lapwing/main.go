package main

import (
	"os"
	"runtime/debug"

	"lapwing/agent/privilege"
)

// version is set when the program is linked.
var version = "unknown"

// garbage is how much garbage the heap may hold, in percent of what is in use. What
// goes through the agent all the time is not allocated, so collections are rare, and
// memory is what a neighbour in production is asked for first.
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
