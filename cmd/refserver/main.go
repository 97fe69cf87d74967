// Command refserver contains the reference servers: one small server for each
// architecture of web servers, all with the same application. Each stamps the
// events of its requests, so that a view from outside can be compared with the
// truth.
package main

import (
	"fmt"
	"os"
	"runtime"
)

// init keeps the main goroutine on the first thread of the process. So a server
// with one thread per process serves on the thread whose id is the process id.
func init() { runtime.LockOSThread() }

func main() {
	if err := command().Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "refserver:", err)
		os.Exit(1)
	}
}
