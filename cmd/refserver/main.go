// Command refserver is the bundled reference servers: one small server for
// each architecture that web servers use, with one application behind all of
// them. Each stamps what happens to its requests, so that a view from outside
// can be held against the truth.
package main

import (
	"fmt"
	"os"
	"runtime"
)

// The main goroutine keeps the process's first thread: a server with one
// thread per process serves on the thread whose id is the process id.
func init() { runtime.LockOSThread() }

func main() {
	if err := command().Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "refserver:", err)
		os.Exit(1)
	}
}
