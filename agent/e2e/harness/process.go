package harness

import (
	"bytes"
	"errors"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Process is a program that the test started. It ends with the test.
type Process struct {
	Name string

	t      testing.TB
	cmd    *exec.Cmd
	stderr lockedBuffer
	exited chan struct{}
	err    error // of Wait; valid once exited is closed
}

// Start starts a program. stdout may be nil.
func Start(t testing.TB, cmd *exec.Cmd) *Process {
	t.Helper()
	return start(t, cmd, nil)
}

// StartAs is like Start, for a program that runs as another user.
func StartAs(t testing.TB, cmd *exec.Cmd, uid uint32) *Process {
	t.Helper()
	return start(t, cmd, &syscall.Credential{Uid: uid, Gid: uid})
}

func start(t testing.TB, cmd *exec.Cmd, user *syscall.Credential) *Process {
	t.Helper()
	p := &Process{Name: filepath.Base(cmd.Path), t: t, cmd: cmd, exited: make(chan struct{})}
	if cmd.Stderr == nil {
		cmd.Stderr = &p.stderr
	}
	// If a test binary is killed, its servers must not keep running, nor their
	// children.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true, Credential: user}
	cmd.WaitDelay = 2 * time.Second // children may keep its output open
	require.NoError(t, cmd.Start(), "start %s", p.Name)
	go func() {
		p.err = cmd.Wait()
		// The group contains the processes that it started and left running.
		_ = syscall.Kill(-p.PID(), syscall.SIGKILL)
		close(p.exited)
	}()
	t.Cleanup(p.end)
	return p
}

// PID returns the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Exited reports whether the process has ended.
func (p *Process) Exited() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// Stderr returns what the process wrote to its standard error so far.
func (p *Process) Stderr() string { return p.stderr.String() }

// Signal sends a signal to the process, if it is still running.
func (p *Process) Signal(sig syscall.Signal) { _ = p.cmd.Process.Signal(sig) }

// Stop asks the process to end, waits until it has, and returns the error of
// its exit status. A process that does not end in time fails the test.
func (p *Process) Stop() error {
	p.t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	return p.AwaitExit(10 * time.Second)
}

// AwaitExit waits for the end of the process.
func (p *Process) AwaitExit(limit time.Duration) error {
	p.t.Helper()
	select {
	case <-p.exited:
		return p.err
	case <-time.After(Slow(limit)):
		p.kill()
		require.Fail(p.t, "a process did not end", "%s did not end within %s:\n%s", p.Name, Slow(limit), p.Stderr())
		return nil
	}
}

// Kill ends the process without giving it a chance to clean up.
func (p *Process) Kill() {
	p.t.Helper()
	p.kill()
}

func (p *Process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.exited
}

func (p *Process) end() {
	if p.Exited() {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(Slow(10 * time.Second)):
		p.kill()
	}
}

// ExitStatus returns the exit status in the error of Stop or AwaitExit; −1 for
// a process that a signal ended.
func ExitStatus(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	return -1
}

// lockedBuffer is a buffer that can be read while another goroutine writes to
// it.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
