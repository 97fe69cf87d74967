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

// inNamespace runs f on a thread with a network of its own, which has only the loopback.
// f gets a directory with the /sys of that network. The thread ends with f; the sockets
// that it created stay in the namespace.
func inNamespace(t *testing.T, f func(sys string)) {
	t.Helper()
	sys := t.TempDir()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // for good: nothing else may run on this thread
		defer close(done)      // f can end with a failed requirement
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

// byInterrupt lets packets on the loopback of a namespace be handled like those of a
// network card: in an interrupt, whatever runs there.
func byInterrupt(t *testing.T, sys string) {
	path := filepath.Join(sys, "class/net/lo/queues/rx-0/rps_cpus")
	cpus := fmt.Sprintf("%x", 1<<min(runtime.NumCPU(), 2)-1)
	require.NoError(t, os.WriteFile(path, []byte(cpus), 0o644))
}

// listenTCP returns a listening socket in the calling thread's namespace.
func listenTCP(t *testing.T) net.Listener {
	var plain net.ListenConfig
	plain.SetMultipathTCP(false)
	l, err := plain.Listen(t.Context(), "tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l
}
