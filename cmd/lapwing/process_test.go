package main

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"
)

// output collects what a process writes, and can be read meanwhile.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// child prepares the command with a fake agent, as a separate process.
func child(t *testing.T, agent string, args ...string) (*exec.Cmd, *output) {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), fakeEnv+"="+agent)
	errs := new(output)
	cmd.Stderr = errs
	t.Cleanup(func() {
		if cmd.Process != nil {
			_ = cmd.Process.Kill()
		}
	})
	return cmd, errs
}

func awaitText(t *testing.T, o *output, text string) {
	t.Helper()
	require.Eventually(t, func() bool { return strings.Contains(o.String(), text) },
		20*time.Second, 5*time.Millisecond, "%q does not appear", text)
}

func TestSignalsFlushAndEnd(t *testing.T) {
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			cmd, errs := child(t, "five", "trace", "--format", "json")
			out := new(output)
			cmd.Stdout = out
			require.NoError(t, cmd.Start())
			awaitText(t, errs, "attached (plan socket)")
			require.NoError(t, cmd.Process.Signal(sig))
			require.NoError(t, cmd.Wait(), errs)
			require.Len(t, objects(t, out.String()), 5)
			require.Contains(t, errs.String(), "lapwing: 5 requests, 0 lost\n")
		})
	}
}

// TestHangUpEndsWhatShows closes the terminal. The summary is still printed, as
// at any other end.
func TestHangUpEndsWhatShows(t *testing.T) {
	cmd, errs := child(t, "five", "trace", "--format", "json")
	out := new(output)
	cmd.Stdout = out
	require.NoError(t, cmd.Start())
	awaitText(t, errs, "attached (plan socket)")
	require.NoError(t, cmd.Process.Signal(syscall.SIGHUP))
	require.NoError(t, cmd.Wait(), errs)
	require.Len(t, objects(t, out.String()), 5)
}

// TestHangUpDoesNotEndTheDaemon checks that the daemon reads its configuration
// again instead.
func TestHangUpDoesNotEndTheDaemon(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lapwing.yaml")
	require.NoError(t, os.WriteFile(file, []byte("export: {prometheus: {listen: ':9464'}}\n"), 0o644))
	cmd, errs := child(t, "five", "run", "--config", file)
	require.NoError(t, cmd.Start())
	awaitText(t, errs, "probes attached")
	require.NoError(t, os.WriteFile(file, []byte("export: {prometheus: {listen: here}}\n"), 0o644))
	require.NoError(t, cmd.Process.Signal(syscall.SIGHUP))
	awaitText(t, errs, "the configuration was not reloaded, that of before stays")
	require.Contains(t, errs.String(), "export.prometheus.listen")
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, cmd.Wait(), errs)
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	cmd, errs := child(t, "stuck", "trace")
	require.NoError(t, cmd.Start())
	awaitText(t, errs, "attached (plan socket)")
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for {
		select {
		case <-done:
			status := cmd.ProcessState.Sys().(syscall.WaitStatus)
			require.True(t, status.Signaled(), "ended by the signal, not by the limit: %s", errs)
			require.Equal(t, syscall.SIGINT, status.Signal())
			return
		case <-time.After(50 * time.Millisecond):
			_ = cmd.Process.Signal(os.Interrupt)
		}
	}
}

func TestReaderThatHasSeenEnough(t *testing.T) {
	cmd, errs := child(t, "endless", "trace", "--format", "json")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Len(t, objects(t, line), 1)
	require.NoError(t, out.Close())
	require.NoError(t, cmd.Wait(), errs)
	require.Regexp(t, `lapwing: \d+ requests, 0 lost\n$`, errs.String())
}

// TestLiveTable starts `lapwing top` on a terminal and quits with a key.
func TestLiveTable(t *testing.T) {
	cmd, _ := child(t, "five", "top", "--interval", "50ms")
	cmd.Env = append(cmd.Env, "TERM=xterm-256color")
	cmd.Stderr = nil // the terminal
	terminal, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: 100})
	require.NoError(t, err)
	defer terminal.Close()
	shown := new(output)
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		_, _ = io.Copy(shown, terminal) // ends with an error when the process does
	}()
	awaitText(t, shown, "shop")
	_, err = terminal.Write([]byte("q"))
	require.NoError(t, err)
	require.NoError(t, cmd.Wait())
	<-copied
	require.Contains(t, shown.String(), "lapwing: 5 requests, 0 lost")
}
