package sandbox

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestLandlockHidesProcesses shows why the agent does not use Landlock. In a
// domain that only restricts creating block devices, or binding ports, the
// program and the namespaces of other processes can no longer be read, even
// with all capabilities. If this test fails, the kernel has changed, and
// Landlock should be considered again.
func TestLandlockHidesProcesses(t *testing.T) {
	other := exec.Command("sleep", "60")
	require.NoError(t, other.Start())
	defer func() {
		_ = other.Process.Kill()
		_ = other.Wait()
	}()
	look := func(name string) error {
		_, err := os.Readlink(fmt.Sprintf("/proc/%d/%s", other.Process.Pid, name))
		return err
	}
	version := TakeSurvey().Landlock
	for least, rules := range map[int]unix.LandlockRulesetAttr{
		1: {Handled_access_fs: unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK},
		4: {Handled_access_net: unix.LANDLOCK_ACCESS_NET_BIND_TCP},
	} {
		entered := inThread(func() error {
			if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
				return err
			}
			if err := enter(rules); err != nil {
				return err
			}
			for _, name := range []string{"exe", "root", "ns/net"} {
				if err := look(name); !os.IsPermission(err) {
					return fmt.Errorf("%s: %v", name, err)
				}
			}
			return nil
		})
		if version < least {
			require.Error(t, entered, "the kernel has no such rules")
			continue
		}
		require.NoError(t, entered)
	}
	for _, name := range []string{"exe", "root", "ns/net"} {
		require.NoError(t, look(name), "outside of a domain")
	}
}

func enter(rules unix.LandlockRulesetAttr) error {
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&rules)), unsafe.Sizeof(rules), 0)
	if errno != 0 {
		return errno
	}
	defer func() { _ = unix.Close(int(fd)) }()
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

// inThread calls f in a thread that ends afterwards.
func inThread(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked, so the thread ends
		done <- f()
	}()
	return <-done
}
