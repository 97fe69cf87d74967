package socket

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// inNamespace runs f on a thread with a network of its own, of which only the
// loopback is there, and gives it a directory in which that network's /sys is.
// The thread ends with f; sockets that it made stay in the namespace.
func inNamespace(t *testing.T, f func(sys string)) {
	t.Helper()
	sys := t.TempDir()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // for good: nobody else shall run on this thread
		defer close(done)      // f can end by a failed requirement
		done <- func() error {
			if err := unix.Unshare(unix.CLONE_NEWNET | unix.CLONE_NEWNS); err != nil {
				return err
			}
			if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
				return err
			}
			if err := unix.Mount("sysfs", sys, "sysfs", 0, ""); err != nil {
				return err
			}
			if err := loopbackUp(); err != nil {
				return err
			}
			f(sys)
			return nil
		}()
	}()
	require.NoError(t, <-done)
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	req, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	req.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req)
}

// byInterrupt has packets on the loopback of a namespace handled as those of a
// network card are: in an interrupt, whatever runs there.
func byInterrupt(t *testing.T, sys string) {
	path := filepath.Join(sys, "class/net/lo/queues/rx-0/rps_cpus")
	cpus := fmt.Sprintf("%x", 1<<min(runtime.NumCPU(), 2)-1)
	require.NoError(t, os.WriteFile(path, []byte(cpus), 0o644))
}

// listenTCP is a listening socket of the calling thread's namespace.
func listenTCP(t *testing.T) net.Listener {
	var plain net.ListenConfig
	plain.SetMultipathTCP(false)
	l, err := plain.Listen(t.Context(), "tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l
}
