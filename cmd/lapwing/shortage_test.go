package main

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFewFiles starts the program with limits that are too low for it: its own
// words, and not what a library or the kernel makes of it.
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

// keepFiles keeps from the processes that a test starts what this one has
// inherited itself: the lock of whoever runs the tests, the pipes of make.
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
