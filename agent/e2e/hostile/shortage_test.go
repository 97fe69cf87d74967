package hostile

import (
	"bytes"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"lapwing/agent/e2e/harness"
)

// fails runs an agent after arrange, and returns the last line of its output.
func fails(t *testing.T, cmd *exec.Cmd, arrange func() error) string {
	t.Helper()
	var errs bytes.Buffer
	cmd.Stderr = &errs
	require.NoError(t, startArranged(cmd, arrange))
	timer := time.AfterFunc(harness.Slow(30*time.Second), func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	assert.Equal(t, 1, harness.ExitStatus(cmd.Wait()), errs.String())
	lines := strings.Split(strings.TrimSuffix(errs.String(), "\n"), "\n")
	last := lines[len(lines)-1]
	assert.True(t, strings.HasPrefix(last, "lapwing: "), errs.String())
	assert.NotContains(t, errs.String(), "goroutine")
	assert.NotContains(t, last, "please report")
	return last
}

// startArranged starts a command from a thread on which arrange was called. The
// thread ends after that.
func startArranged(cmd *exec.Cmd, arrange func() error) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := arrange()
		if err == nil {
			err = cmd.Start()
		}
		started <- err
	}()
	return <-started
}

// TestMemoryIsShort starts the agent in control groups with too little memory
// for its maps.
func TestMemoryIsShort(t *testing.T) {
	group := harness.NewMemoryGroup(t)
	group.Limit(48 << 20)
	cmd := group.Command(harness.Lapwing(t), "run", "--prometheus-listen", harness.FreeAddress(t))
	cmd.Env = append(os.Environ(), "LAPWING_PROBES_RING_BYTES=256MiB")
	line := fails(t, cmd, func() error { return nil })
	assert.Contains(t, line, "out of memory: the memory limit of cgroup ")
	assert.Contains(t, line, "is 48MiB: raise MemoryMax= in the systemd unit")
	assert.Regexp(t, `the maps take 2\d\d(\.\d+)?MiB, messages alone 259(\.\d+)?MiB`, line)
}

// TestFilterForbidsBPF starts the agent with a seccomp filter like those of
// containers, as root with all capabilities.
func TestFilterForbidsBPF(t *testing.T) {
	line := fails(t, exec.Command(harness.Lapwing(t), "trace"), func() error { return forbid(unix.SYS_BPF) })
	assert.Contains(t, line, "check for a seccomp filter (in Docker: --security-opt seccomp=unconfined)")
	assert.NotContains(t, line, "MEMLOCK")
}

// TestNoTracefs starts the agent with a plan that needs tracefs, on a host
// where tracefs is not mounted and the agent may not mount it.
func TestNoTracefs(t *testing.T) {
	const without = `umount --lazy /sys/kernel/tracing; umount --lazy /sys/kernel/debug 2>/dev/null
exec setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin "$@"`
	cmd := exec.Command("unshare", "--mount", "sh", "-c", without, "sh", harness.Lapwing(t), "trace", "--probe-plan", "syscall")
	line := fails(t, cmd, func() error { return nil })
	assert.Contains(t, line, "tracefs is not mounted")
}

// forbid makes a system call fail with EPERM in the calling thread, and in what
// it executes.
func forbid(call uint32) error {
	const load, equal, ret = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	program := []unix.SockFilter{
		{Code: load, K: 0}, // the number of the call
		{Code: equal, K: call, Jt: 0, Jf: 1},
		{Code: ret, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		{Code: ret, K: unix.SECCOMP_RET_ALLOW},
	}
	return installFilter(program)
}
