package child

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Options describe how to run a program.
type Options struct {
	// Args are the program and its arguments.
	Args []string
	// Ready is the beginning of the line, on either output, with which the
	// program reports that it is ready.
	Ready string
	// Stdout and Stderr receive what the program prints; nil discards it. An
	// *os.File is passed to the program itself, so that it can detect a
	// terminal. It is not searched for the ready line.
	Stdout, Stderr io.Writer
	// Session starts the program in a session of its own. The kernel may divide
	// the CPU between sessions first (sched_autogroup).
	Session bool
}

// Child is a running program.
type Child struct {
	cmd   *exec.Cmd
	name  string
	watch *watch
	done  chan struct{}
	err   error // of Wait; valid once done is closed
}

// Start runs a program in a process group of its own. So a Ctrl-C on the
// terminal only reaches the caller, which then stops its children in order. If
// the caller dies first, the kernel terminates the program.
func Start(opts Options) (*Child, error) {
	cmd := exec.Command(opts.Args[0], opts.Args[1:]...)
	// A new session is also a new process group.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: opts.Session, Setpgid: !opts.Session, Pdeathsig: syscall.SIGTERM}
	// A grandchild that keeps the pipes open must not stop Wait from returning.
	cmd.WaitDelay = time.Second
	c := &Child{cmd: cmd, name: opts.Args[0], watch: newWatch(opts.Ready), done: make(chan struct{})}
	cmd.Stdout = c.watch.stream(opts.Stdout)
	cmd.Stderr = c.watch.stream(opts.Stderr)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", c.name, err)
	}
	go func() {
		c.err = cmd.Wait()
		close(c.done)
	}()
	return c, nil
}

// PID returns the process id of the program.
func (c *Child) PID() int { return c.cmd.Process.Pid }

// Done returns a channel that is closed when the program has ended.
func (c *Child) Done() <-chan struct{} { return c.done }

// AwaitReady returns the line with which the program reported that it is ready.
// If the program ends before, the error quotes its last output.
func (c *Child) AwaitReady(ctx context.Context, timeout time.Duration) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	select {
	case line := <-c.watch.ready:
		return line, nil
	case <-c.done:
		return c.readyAtLast()
	case <-ctx.Done():
		return "", fmt.Errorf("%s was not ready (no line %q): %w", c.name, c.watch.prefix, ctx.Err())
	}
}

// readyAtLast handles a program that has ended: it may have done all its work
// before AwaitReady was called.
func (c *Child) readyAtLast() (string, error) {
	select {
	case line := <-c.watch.ready:
		return line, nil
	default:
	}
	if err := c.cause(); err != nil {
		return "", fmt.Errorf("%s ended before it was ready: %w", c.name, err)
	}
	return "", fmt.Errorf("%s ended with status 0 before it was ready (no line %q)", c.name, c.watch.prefix)
}

// Wait returns once the program has ended by itself.
func (c *Child) Wait(ctx context.Context) error {
	select {
	case <-c.done:
		return c.cause()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Stop asks the program to terminate and waits until it has. After grace it
// kills the whole process group of the program and returns an error that says
// so. For a program that has ended it returns how the program ended.
func (c *Child) Stop(grace time.Duration) error {
	select {
	case <-c.done:
		return c.cause()
	default:
	}
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.done:
		return c.cause()
	case <-time.After(grace):
	}
	// The program has not been reaped, so its process id is still its own.
	_ = syscall.Kill(-c.PID(), syscall.SIGKILL)
	<-c.done
	return fmt.Errorf("%s did not end within %s of SIGTERM and was killed", c.name, grace)
}

// cause returns the exit of the program with its last output, nil for status 0.
func (c *Child) cause() error {
	// Grandchildren that hold the pipes are not an error of the program.
	if c.err == nil || errors.Is(c.err, exec.ErrWaitDelay) {
		return nil
	}
	if said := strings.Join(c.watch.last(), " | "); said != "" {
		return fmt.Errorf("%s: %w: %s", c.name, c.err, said)
	}
	return fmt.Errorf("%s: %w", c.name, c.err)
}
