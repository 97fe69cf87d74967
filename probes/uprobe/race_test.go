//go:build race

package uprobe

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"lapwing/probes/foreign"
)

// TestMain lets a program without the race detector read the files. The runtime of the
// race detector takes more memory and more system calls than a reader may have.
func TestMain(m *testing.M) {
	os.Exit(testWithReader(m))
}

func testWithReader(m *testing.M) int {
	dir, err := os.MkdirTemp("", "uprobe")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	program := filepath.Join(dir, "reader")
	if out, err := exec.Command("go", "build", "-o", program, "testdata/reader.go").CombinedOutput(); err != nil {
		panic(fmt.Sprintf("go build: %v: %s", err, out))
	}
	startReaders = func() foreign.Starter {
		return func(socket *os.File, limit time.Duration) (end func(), err error) {
			return startReader(program, socket, limit)
		}
	}
	return m.Run()
}

func startReader(program string, socket *os.File, limit time.Duration) (end func(), err error) {
	cmd := foreign.Again("lapwing-reader", 1)
	cmd.Path = program
	cmd.Stdin = socket
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	end = func() { _ = cmd.Process.Kill() }
	overdue := time.AfterFunc(limit, end)
	go func() {
		_ = cmd.Wait()
		overdue.Stop()
	}()
	return end, nil
}
