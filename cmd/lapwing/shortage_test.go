package main

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFewFiles starts the program with limits that are too low. The program
// must explain this itself, instead of an error of a library or the kernel.
func TestFewFiles(t *testing.T) {
	keepFiles(t)
	for _, limit := range []int{8, 16, 48, 64, 128, 190} {
		for _, command := range [][]string{{"trace"}, {"run", "--prometheus-listen", "127.0.0.1:1"}, {"workers"}} {
			t.Run(fmt.Sprint(command[0], " ", limit), func(t *testing.T) {
				args := append([]string{"prlimit", fmt.Sprintf("--nofile=%d:%d", limit, limit), lapwing(t)}, command...)
				r := runReal(t, nil, args...)
				requireOneLine(t, r, 1, fmt.Sprintf("the process may have %d open files, ", limit))
				requireOneLine(t, r, 1, "raise the limit: LimitNOFILE=65536 in a systemd unit, ulimit -n 65536 in a shell")
			})
		}
	}
}

// keepFiles keeps the files that this process has inherited out of the processes
// that a test starts: the lock of a test runner, the pipes of make.
func keepFiles(t *testing.T) {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	for _, f := range files {
		if fd, err := strconv.Atoi(f.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
}
