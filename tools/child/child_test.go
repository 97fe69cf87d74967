package child

import (
	"bytes"
	"context"
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const patience = 10 * time.Second

func start(t *testing.T, script string, out *bytes.Buffer) *Child {
	t.Helper()
	opts := Options{Args: []string{"/bin/sh", "-c", script}, Ready: "ready"}
	if out != nil {
		opts.Stdout = out
	}
	c, err := Start(opts)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Stop(time.Second) })
	return c
}

func TestReadyLineOnEitherOutput(t *testing.T) {
	for _, redirect := range []string{"", " >&2"} {
		c := start(t, "echo hello"+redirect+"; echo ready at 80"+redirect+"; exec sleep 60", nil)
		line, err := c.AwaitReady(context.Background(), patience)
		require.NoError(t, err, "redirect %q: got %q", redirect, line)
		require.Equal(t, "ready at 80", line, "redirect %q", redirect)
	}
}

func TestOutputArrivesWhole(t *testing.T) {
	var out bytes.Buffer
	c := start(t, `printf 'one\ntwo\nhalf'`, &out)
	require.NoError(t, c.Wait(context.Background()))
	require.Equal(t, "one\ntwo\nhalf", out.String())
}

func TestEndBeforeReadyQuotesLastWords(t *testing.T) {
	c := start(t, "echo no such capability >&2; exit 3", nil)
	_, err := c.AwaitReady(context.Background(), patience)
	require.ErrorContains(t, err, "no such capability")
	require.ErrorContains(t, err, "exit status 3")
}

func TestReadyThoughEnded(t *testing.T) {
	c := start(t, "echo ready and done", nil)
	require.NoError(t, c.Wait(context.Background()))
	line, err := c.AwaitReady(context.Background(), patience)
	require.NoError(t, err, "got %q", line)
	require.Equal(t, "ready and done", line)
	_, err = c.AwaitReady(context.Background(), patience)
	require.ErrorContains(t, err, "status 0")
}

func TestNeverReady(t *testing.T) {
	c := start(t, "exec sleep 60", nil)
	_, err := c.AwaitReady(context.Background(), 20*time.Millisecond)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestStopTerminates(t *testing.T) {
	c := start(t, `trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done`, nil)
	_, err := c.AwaitReady(context.Background(), patience)
	require.NoError(t, err)
	require.NoError(t, c.Stop(patience))
}

func TestStopKillsTheGroup(t *testing.T) {
	c := start(t, `trap '' TERM; echo ready; while :; do sleep 0.05; done`, nil)
	_, err := c.AwaitReady(context.Background(), patience)
	require.NoError(t, err)
	err = c.Stop(50 * time.Millisecond)
	require.ErrorContains(t, err, "was killed")
	deadline := time.Now().Add(patience)
	for !errors.Is(syscall.Kill(-c.PID(), 0), syscall.ESRCH) {
		require.False(t, time.Now().After(deadline), "the process group is still there")
		time.Sleep(5 * time.Millisecond)
	}
}

func TestStartOfNothing(t *testing.T) {
	_, err := Start(Options{Args: []string{"/does/not/exist"}})
	require.Error(t, err, "no error")
}
