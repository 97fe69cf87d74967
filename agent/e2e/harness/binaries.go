package harness

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// buildDir returns the directory of what this run built. Cleanup removes it.
var buildDir = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "lapwing-e2e") })

var (
	buildLapwing     = sync.OnceValues(func() (string, error) { return build("cmd/lapwing") })
	buildRefServer   = sync.OnceValues(func() (string, error) { return build("cmd/refserver") })
	buildHostileUser = sync.OnceValues(func() (string, error) { return build("agent/e2e/attack/user") })
)

// Lapwing returns the path of the agent's binary: LAPWING_BIN, or a new build
// of the command.
func Lapwing(t testing.TB) string {
	t.Helper()
	return binary(t, "LAPWING_BIN", buildLapwing)
}

// RefServer returns the path of the reference server's binary: REFSERVER_BIN,
// or a new build of the command.
func RefServer(t testing.TB) string {
	t.Helper()
	return binary(t, "REFSERVER_BIN", buildRefServer)
}

// HostileUser returns the path of the program that the attacking user runs.
func HostileUser(t testing.TB) string {
	t.Helper()
	return binary(t, "LAPWING_HOSTILE_USER_BIN", buildHostileUser)
}

// Cleanup removes what the run built. Call it at the end of TestMain.
func Cleanup() error {
	dir, err := buildDir()
	if err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

// Main runs the tests of a package and removes what they built. It returns the
// exit status.
func Main(m *testing.M) int {
	status := m.Run()
	if err := Cleanup(); err != nil {
		fmt.Fprintln(os.Stderr, "clean up:", err)
		status = 1
	}
	return status
}

// ModuleRoot returns the directory of this module.
func ModuleRoot(t testing.TB) string {
	t.Helper()
	root, err := FindModuleRoot()
	require.NoError(t, err)
	return root
}

func binary(t testing.TB, variable string, build func() (string, error)) string {
	t.Helper()
	if path := os.Getenv(variable); path != "" {
		abs, err := filepath.Abs(path)
		require.NoError(t, err, variable)
		return abs
	}
	path, err := build()
	require.NoError(t, err, "set %s to test a binary without building it", variable)
	return path
}

// build builds a program of this module, given its directory.
func build(program string) (string, error) {
	dir, err := buildDir()
	if err != nil {
		return "", err
	}
	root, err := FindModuleRoot()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, filepath.Base(program))
	cmd := exec.Command("go", "build", "-o", path, "./"+program)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", program, err, out)
	}
	return path, nil
}

// FindModuleRoot returns the directory of this module. It searches upwards from
// the working directory of the test.
func FindModuleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(mod), "module lapwing\n") {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("the lapwing module is not around the working directory")
		}
		dir = parent
	}
}

// Installed returns the path of a program that must be installed on the
// machine.
func Installed(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path, err = exec.LookPath(filepath.Join("/usr/sbin", name))
	}
	require.NoError(t, err, "%s is not installed: run `make deps`", name)
	return path
}

// Executable returns the path of this test binary, which also plays the
// scripted peers.
func Executable(t testing.TB) string {
	t.Helper()
	path, err := os.Executable()
	require.NoError(t, err, "find the test binary")
	return path
}

// OpenDir returns a directory that servers of other users can read and write.
func OpenDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "lapwing-server")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o777))
	return dir
}
