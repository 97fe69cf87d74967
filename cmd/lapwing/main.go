package main

import (
	"os"

	"lapwing/agent/privilege"
)

// version is set when the program is linked.
var version = "unknown"

func main() {
	a := newApp()
	if err := privilege.Runs(); err != nil {
		a.complain(err)
		os.Exit(statusError)
	}
	os.Exit(a.execute(os.Args[1:]))
}
