package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fakeRun replaces tools/kernels/run.
func fakeRun(t *testing.T, script string) {
	t.Helper()
	t.Chdir(t.TempDir())
	require.NoError(t, os.MkdirAll("tools/kernels", 0o755))
	require.NoError(t, os.WriteFile("tools/kernels/run", []byte("#!/bin/sh\n"+script), 0o755))
}

const goodGuest = `
echo "figure - none kept:tcp 1000 40000000 0 0"
echo "figure syscall all kept:tcp 1000 50000000 1000000 5000000"
echo "figure syscall stopped kept:tcp 1000 45000000 0 0"
echo 'agent syscall all 3000 {"services":[{"requests":3000}],"final":true}'
echo "kernels: Linux 6.1.0-56-cloud-amd64: exit status 0, booted in 770 ms" >&2
`

func shortOn61(t *testing.T) options {
	t.Helper()
	o, err := parseOptions([]string{"-short", "-kernels", "6.1"})
	require.NoError(t, err)
	return o
}

func TestRunGuest(t *testing.T) {
	fakeRun(t, goodGuest)
	run, err := runGuest(context.Background(), shortOn61(t), "tree", "6.1")
	require.NoError(t, err)
	assert.Equal(t, "6.1.0-56-cloud-amd64", run.release)
	if assert.Len(t, run.figures, 3) {
		assert.Equal(t, 51_000, run.figures[1].Instructions, "got %+v", run)
		assert.Equal(t, 5_000, run.figures[1].Process, "got %+v", run)
	}
}

func TestRunGuestFails(t *testing.T) {
	for name, c := range map[string]struct{ script, want string }{
		"after its figures":  {goodGuest + "exit 3", "the guest with Linux 6.1: exit status 3"},
		"before its figures": {"echo kernels: there was no guest >&2; exit 125", "the guest with Linux 6.1: exit status 125"},
		"silently":           {"", "gave no figure for Linux 6.1, no agent, TCP kept alive"},
		"requests missing":   {strings.Replace(goodGuest, ":3000", ":2999", 1), "reported 2999 of 3000 requests"},
	} {
		t.Run(name, func(t *testing.T) {
			fakeRun(t, c.script)
			_, err := runGuest(context.Background(), shortOn61(t), "tree", "6.1")
			assert.ErrorContains(t, err, c.want)
		})
	}
}

// TestLibraries checks that the guest gets nginx with every library that it
// names.
func TestLibraries(t *testing.T) {
	shell, err := filepath.EvalSymlinks("/bin/sh")
	require.NoError(t, err)
	libraries, err := librariesOf(context.Background(), shell)
	require.NoError(t, err)
	all := strings.Join(libraries, " ")
	assert.Contains(t, all, "/libc.so.6", "the shell needs it")
	assert.Contains(t, all, "/ld-linux", "the shell needs it")
	_, err = librariesOf(context.Background(), "/does/not/exist")
	assert.Error(t, err, "a program that is not there has libraries")
}
